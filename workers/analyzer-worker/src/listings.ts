// What the analyzer reads from the directory and writes into `enrichments`. It must not know the model.

import type { Enrichment } from "../../shared/analyzer-api";

/** The part of a listing the model gets to see. */
export interface Listing {
  id: number;
  slug: string;
  name: string;
  category: string;
  city: string;
  description: string;
}

const LISTING = `
  SELECT b.id, b.slug, b.name, c.name AS category, b.city, b.description
  FROM businesses AS b JOIN categories AS c ON c.id = b.category_id`;

export async function findListing(db: D1Database, slug: string): Promise<Listing | null> {
  return db.prepare(`${LISTING} WHERE b.slug = ?1`).bind(slug).first<Listing>();
}

/** Listings never enriched, or edited since, oldest enrichment first. */
export async function staleListings(db: D1Database, limit: number): Promise<Listing[]> {
  const { results } = await db
    .prepare(
      `${LISTING} LEFT JOIN enrichments AS e ON e.business_id = b.id
       WHERE e.business_id IS NULL OR e.analyzed_at < b.updated_at
       ORDER BY e.analyzed_at NULLS FIRST, b.id LIMIT ?1`,
    )
    .bind(limit)
    .all<Listing>();
  return results;
}

export async function saveEnrichment(db: D1Database, listing: Listing, enrichment: Enrichment): Promise<void> {
  await db
    .prepare(
      `INSERT INTO enrichments (business_id, summary, keywords, confidence, model, analyzed_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT (business_id) DO UPDATE SET
         summary = excluded.summary, keywords = excluded.keywords, confidence = excluded.confidence,
         model = excluded.model, analyzed_at = excluded.analyzed_at`,
    )
    .bind(
      listing.id,
      enrichment.summary,
      JSON.stringify(enrichment.keywords),
      enrichment.confidence,
      enrichment.model,
      enrichment.analyzedAt,
    )
    .run();
}
