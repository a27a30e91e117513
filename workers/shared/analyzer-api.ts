// What the analyzer offers to its siblings over RPC. Both sides compile against it.

/** What the analyzer found out about one business. */
export interface Enrichment {
  slug: string;
  summary: string;
  keywords: string[];
  confidence: number;
  model: string;
  analyzedAt: string;
}

/** The analyzer's RPC methods. */
export interface AnalyzerApi {
  /** Enriches one listing now and stores the result; null when no business has that slug. */
  analyze(slug: string): Promise<Enrichment | null>;
}
