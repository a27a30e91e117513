// What the agents look up to answer a question. Read-only; it must not know how an answer is delivered.

/** A listing as an agent speaks of it. */
export interface Listing {
  name: string;
  city: string;
  phone: string | null;
  description: string;
}

const WORDS_MAX = 8;
// Words that say nothing about which business is meant.
const FILLER = new Set("a about an and any are at can do does find for from have i in is me my near of on or place places rent that the there to what where which who with you".split(" "));

/** The words of a question that can select a listing. */
export function keywords(question: string): string[] {
  const words = question.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  // "canoes" must find "canoe"; a trailing s is the only inflection a directory needs.
  return [...new Set(words.filter((word) => word.length > 1 && !FILLER.has(word)).map((word) => word.replace(/(?<=\w{3})s$/, "")))].slice(0, WORDS_MAX);
}

/** Listings that match, those with the most matching words first. */
export async function lookUp(db: D1Database, words: string[], limit: number): Promise<Listing[]> {
  if (words.length === 0) {
    return [];
  }
  // A word in the name says more than one in the description or in the category, which many share.
  const score = words.map((_, index) => `(instr(haystack, ?${index + 1}) > 0) + (instr(lower(name), ?${index + 1}) > 0)`).join(" + ");
  const { results } = await db
    .prepare(
      `SELECT name, city, phone, description FROM (
         SELECT b.name, b.city, b.phone, b.description,
           lower(b.name || ' ' || b.city || ' ' || b.description || ' ' || c.name || ' ' || coalesce(e.keywords, '')) AS haystack
         FROM businesses AS b JOIN categories AS c ON c.id = b.category_id LEFT JOIN enrichments AS e ON e.business_id = b.id)
       WHERE ${score} > 0 ORDER BY ${score} DESC, name LIMIT ?${words.length + 1}`,
    )
    .bind(...words, limit)
    .all<Listing>();
  return results;
}
