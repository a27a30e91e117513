// The analyzer: enriches listings on its crons, and one listing on request of a sibling (RPC) or an editor (HTTP).

import { WorkerEntrypoint } from "cloudflare:workers";
import type { AnalyzerApi, Enrichment } from "../../shared/analyzer-api";
import { health, secretsSet } from "../../shared/health";
import { guarded, HttpError, json } from "../../shared/http";
import { requireBearer } from "../../shared/secrets";
import { enrich } from "./enrich";
import { findListing, saveEnrichment, staleListings } from "./listings";

const LAST_RUN_KEY = "analyzer:last-run";

/** What one cron run did; the newest is kept in KV for GET /status. */
interface Run {
  cron: string;
  finishedAt: string;
  enriched: string[];
  failed: string[];
}

export default class Analyzer extends WorkerEntrypoint<Env> implements AnalyzerApi {
  override async fetch(request: Request): Promise<Response> {
    return guarded(() => this.#route(request));
  }

  override async scheduled(controller: ScheduledController): Promise<void> {
    const listings = await staleListings(this.env.DB, this.env.BATCH_SIZE);
    const run: Run = { cron: controller.cron, finishedAt: "", enriched: [], failed: [] };
    // One after the other: the model's rate limit is shared with everything else in the account.
    for (const listing of listings) {
      try {
        await saveEnrichment(this.env.DB, listing, await enrich(this.env, listing));
        run.enriched.push(listing.slug);
      } catch (error) {
        console.error(`cannot enrich ${listing.slug}`, error);
        run.failed.push(listing.slug);
      }
    }
    run.finishedAt = new Date().toISOString();
    await this.env.CACHE.put(LAST_RUN_KEY, JSON.stringify(run));
    console.log(`cron ${run.cron}: ${run.enriched.length} enriched, ${run.failed.length} failed`);
    // A run in which everything failed is the model or the database, not a listing: let it show as a failed cron.
    if (run.enriched.length === 0 && run.failed.length > 0) {
      throw new Error(`none of ${run.failed.length} listings could be enriched`);
    }
  }

  /** RPC: enriches one listing now and stores the result; null when no business has that slug. */
  async analyze(slug: string): Promise<Enrichment | null> {
    const listing = await findListing(this.env.DB, slug);
    if (listing === null) {
      return null;
    }
    const enrichment = await enrich(this.env, listing);
    await saveEnrichment(this.env.DB, listing, enrichment);
    return enrichment;
  }

  async #route(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "GET /health":
        return this.#health();
      case "GET /status":
        return json((await this.env.CACHE.get<Run>(LAST_RUN_KEY, "json")) ?? { finishedAt: null });
    }
    const slug = /^\/analyze\/([a-z0-9-]+)$/.exec(pathname)?.[1];
    if (request.method === "POST" && slug !== undefined) {
      await requireBearer(request, this.env.ADMIN_KEY);
      const enrichment = await this.analyze(slug);
      if (enrichment === null) {
        throw new HttpError(404, "no such business");
      }
      return json(enrichment);
    }
    throw new HttpError(404, "no such page");
  }

  #health(): Promise<Response> {
    const { env } = this;
    return health("kiamichi-biz-ai-analyzer", env.CF_VERSION_METADATA, {
      d1: () => env.DB.prepare("SELECT 1 FROM enrichments LIMIT 1").first(),
      kv: () => env.CACHE.get("health"),
      r2_templates: () => env.TEMPLATES.head("health"),
      // Present and callable; a real run would cost money at every probe.
      ai: async () => {
        if (typeof env.AI.run !== "function") {
          throw new Error("the AI binding has no run method");
        }
      },
      secrets: secretsSet(env.ADMIN_KEY),
    });
  }
}
