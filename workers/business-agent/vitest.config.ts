import { readFileSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { build } from "vite";
import { defineConfig } from "vitest/config";

// The plugin takes the secrets a config requires from here, never from a developer's own.
Object.assign(process.env, { ADMIN_KEY: "test-admin-key" });

// The tests serve the dashboard that would be uploaded, so it is built first, as wrangler does.
await build({ configFile: "./vite.config.ts", logLevel: "warn" });

export default defineConfig({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.jsonc" },
      remoteBindings: false,
      miniflare: {
        // The siblings behind the service bindings. They answer with what they were asked.
        workers: [
          { name: "kiamichi-biz-ai-analyzer", modules: true, scriptPath: "./test/analyzer.mjs", compatibilityDate: "2026-09-01" },
          { name: "kiamichi-facebook-worker", modules: true, scriptPath: "./test/facebook.mjs", compatibilityDate: "2026-09-01" },
        ],
        bindings: {
          TEST_SCHEMA: readFileSync("../main/schema.sql", "utf8"),
          TEST_SEED: readFileSync("../main/seed.sql", "utf8"),
          TEST_MIGRATIONS: await readD1Migrations("../main/migrations"),
        },
      },
    })),
  ],
  test: { setupFiles: ["../shared/test-database.ts"] },
});
