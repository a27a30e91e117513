import { readFileSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// The plugin takes the secrets a config requires from here, never from a developer's own.
Object.assign(process.env, { ADMIN_KEY: "test-admin-key", GOOGLE_SECRET: "test-google-secret" });

export default defineConfig({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.toml" },
      remoteBindings: false,
      miniflare: {
        bindings: {
          TEST_SCHEMA: readFileSync("schema.sql", "utf8"),
          TEST_SEED: readFileSync("seed.sql", "utf8"),
          TEST_MIGRATIONS: await readD1Migrations("migrations"),
        },
      },
    })),
  ],
  test: { setupFiles: ["../shared/test-database.ts"] },
});
