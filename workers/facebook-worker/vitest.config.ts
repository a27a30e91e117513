import { readFileSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// The plugin takes the secrets a config requires from here, never from a developer's own.
Object.assign(process.env, { FB_SECRET: "test-fb-secret", FB_EMAIL: "page@example.com", FB_PASSWORD: "test-fb-password" });

export default defineConfig({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.toml" },
      remoteBindings: false,
      miniflare: {
        // The binding the Durable Object gets. It answers like the browser service and shows what it was sent.
        serviceBindings: { BROWSER: "browser" },
        // Miniflare's own browser would download Chrome; it is kept, but out of the way.
        browserRendering: { binding: "DOWNLOADED_BROWSER" },
        workers: [{ name: "browser", modules: true, scriptPath: "./test/browser-service.mjs", compatibilityDate: "2026-09-01" }],
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
