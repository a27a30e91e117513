// GET /api/search?q=: JSON search over the directory, with the answers of the last minute kept in KV.

import { HttpError, json } from "../../shared/http";
import { searchBusinesses, type Business } from "./businesses";

const RESULTS_MAX = 20;
const WORDS_MAX = 6;
const QUERY_LENGTH_MAX = 100;

interface Answer {
  query: string;
  count: number;
  results: Business[];
}

export async function search(url: URL, env: Env, ctx: ExecutionContext): Promise<Response> {
  const query = (url.searchParams.get("q") ?? "").trim().toLowerCase().replace(/\s+/g, " ");
  if (query === "") {
    throw new HttpError(400, "say what to search for: /api/search?q=...");
  }
  if (query.length > QUERY_LENGTH_MAX) {
    throw new HttpError(400, `the query is longer than ${QUERY_LENGTH_MAX} characters`);
  }
  // Keyed by version, so a new release never serves an answer shaped by the old one.
  const key = `search:${env.CF_VERSION_METADATA.id}:${query}`;
  const cached = await readCache(env.CACHE, key);
  if (cached !== null) {
    return json(cached, 200, { "x-cache": "hit" });
  }
  const results = await searchBusinesses(env.DB, query.split(" ").slice(0, WORDS_MAX), RESULTS_MAX);
  const answer: Answer = { query, count: results.length, results };
  ctx.waitUntil(writeCache(env, key, answer));
  return json(answer, 200, { "x-cache": "miss" });
}

// The cache is a convenience: when KV is down the search still answers from the database.
async function readCache(cache: KVNamespace, key: string): Promise<Answer | null> {
  try {
    return await cache.get<Answer>(key, "json");
  } catch (error) {
    console.warn("the search cache cannot be read", error);
    return null;
  }
}

async function writeCache(env: Env, key: string, answer: Answer): Promise<void> {
  try {
    await env.CACHE.put(key, JSON.stringify(answer), { expirationTtl: env.CACHE_TTL_SECONDS });
  } catch (error) {
    console.warn("the search cache cannot be written", error);
  }
}
