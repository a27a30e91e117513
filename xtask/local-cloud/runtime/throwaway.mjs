// An empty D1 database in workerd that is gone when it is closed: the same engine, and the same refusals, as the real one.

import { loadLibrary } from "./library.mjs";

/** `{ database, close }`; nothing is written to the disk but miniflare's own temporary files. */
export async function throwAway(repoRoot) {
  const { Miniflare, NoOpLog, convert, latestDate } = loadLibrary(repoRoot);
  const miniflare = new Miniflare(
    convert({
      modules: true,
      script: "export default { fetch() { return new Response(null) } }",
      compatibilityDate: latestDate,
      d1Databases: { DB: "rehearsal" },
      cf: false,
      log: new NoOpLog(),
      // What workerd says about a refused commit is in the error already.
      handleStructuredLogs: () => {},
    }),
  );
  try {
    const database = await miniflare.getD1Database("DB");
    return { database, close: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose().catch(() => {}); // the error that matters is the one being thrown
    throw error;
  }
}

/** SQLite's words without the binding's prefix. */
export function plain(error) {
  return String(error?.message ?? error).replace(/^(D1_ERROR|D1_EXEC_ERROR|D1_TYPE_ERROR): /, "");
}
