import { defineConfig } from "vite";

// The dashboard alone; wrangler bundles the worker itself and uploads dist/client beside it.
export default defineConfig({
  root: "dashboard",
  build: { outDir: "../dist/client", emptyOutDir: true },
});
