// Stands in for the analyzer: fetch and RPC on one default export, as the real one.

import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async fetch(request) {
    return Response.json({ ok: true, worker: "analyzer", overrides: request.headers.get("Cloudflare-Workers-Version-Overrides") });
  }

  async analyze(slug) {
    if (slug === "breaks") {
      throw new Error("the model said test-admin-key");
    }
    return slug === "nowhere" ? null : { slug, summary: "Enriched.", keywords: ["a"], confidence: 1, model: "m", analyzedAt: "2025-01-01T00:00:00Z" };
  }
}
