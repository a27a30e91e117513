// Finds Miniflare and workerd in the repo's node_modules; the only file that knows how they are installed.

import { createRequire } from "node:module";
import path from "node:path";

/** What the rest needs of Miniflare; throws what/why/fix when it is not there. */
export function loadLibrary(repoRoot) {
  const fromRepo = createRequire(path.join(repoRoot, "package.json"));
  const miniflare = requireOrExplain(fromRepo, repoRoot);
  const fromMiniflare = createRequire(miniflare.path);
  const workerd = fromMiniflare("workerd");
  const { Miniflare, NoOpLog, Response, convertV4MiniflareOptions } = miniflare.module;
  return {
    Miniflare,
    NoOpLog,
    Response,
    // Miniflare 5 wants its options converted from the documented shape; older ones take that shape as it is.
    convert: convertV4MiniflareOptions ?? ((options) => options),
    workerd: workerd.default,
    latestDate: workerd.compatibilityDate,
  };
}

function requireOrExplain(fromRepo, repoRoot) {
  try {
    // Through wrangler: package managers that do not hoist put miniflare below it.
    const fromWrangler = resolveFrom(fromRepo, "wrangler/package.json");
    const require = fromWrangler ? createRequire(fromWrangler) : fromRepo;
    return { module: require("miniflare"), path: require.resolve("miniflare") };
  } catch (error) {
    throw new Error(
      `could not load miniflare\n  why: ${String(error.message).split("\n")[0]}\n  fix: run \`npm ci --ignore-scripts\` in ${repoRoot}`,
    );
  }
}

function resolveFrom(require, name) {
  try {
    return require.resolve(name);
  } catch {
    return null; // not installed here: the caller looks elsewhere
  }
}
