import { readFileSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// The plugin takes the secrets a config requires from here, never from a developer's own.
Object.assign(process.env, { ADMIN_KEY: "test-admin-key" });

export default defineConfig({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.toml" },
      remoteBindings: false,
      miniflare: {
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
