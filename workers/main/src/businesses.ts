// Everything the main worker reads from or writes to the directory's tables. It must not know HTTP or HTML.

/** A listing as the pages and the search show it. */
export interface Business {
  slug: string;
  name: string;
  category: string;
  categorySlug: string;
  description: string;
  street: string | null;
  city: string;
  state: string;
  zip: string | null;
  phone: string | null;
  website: string | null;
  imageKey: string | null;
}

/** A category with the count the daily cron keeps. */
export interface Category {
  slug: string;
  name: string;
  businessCount: number;
}

/** A visitor's review. */
export interface Review {
  author: string;
  rating: number;
  body: string;
}

/** What an editor may set on a listing. */
export interface BusinessDraft {
  slug: string;
  name: string;
  category: string;
  description: string;
  city: string;
  phone: string | null;
  website: string | null;
}

const BUSINESS = `
  SELECT b.slug, b.name, c.name AS category, c.slug AS categorySlug, b.description, b.street, b.city,
         b.state, b.zip, b.phone, b.website, b.image_key AS imageKey
  FROM businesses AS b JOIN categories AS c ON c.id = b.category_id`;

export async function listCategories(db: D1Database): Promise<Category[]> {
  const { results } = await db
    .prepare("SELECT slug, name, business_count AS businessCount FROM categories ORDER BY name")
    .all<Category>();
  return results;
}

export async function latestBusinesses(db: D1Database, limit: number): Promise<Business[]> {
  const { results } = await db
    .prepare(`${BUSINESS} ORDER BY b.updated_at DESC, b.name LIMIT ?1`)
    .bind(limit)
    .all<Business>();
  return results;
}

export async function businessesInCategory(db: D1Database, slug: string): Promise<Business[]> {
  const { results } = await db.prepare(`${BUSINESS} WHERE c.slug = ?1 ORDER BY b.name`).bind(slug).all<Business>();
  return results;
}

export async function findCategory(db: D1Database, slug: string): Promise<Category | null> {
  return db
    .prepare("SELECT slug, name, business_count AS businessCount FROM categories WHERE slug = ?1")
    .bind(slug)
    .first<Category>();
}

/** A listing with its reviews and, once the analyzer has seen it, the summary; null when there is none. */
export async function findBusiness(
  db: D1Database,
  slug: string,
): Promise<{ business: Business; reviews: Review[]; summary: string | null } | null> {
  const [businesses, reviews, enrichment] = await db.batch([
    db.prepare(`${BUSINESS} WHERE b.slug = ?1`).bind(slug),
    db
      .prepare(
        `SELECT r.author, r.rating, r.body FROM reviews AS r JOIN businesses AS b ON b.id = r.business_id
         WHERE b.slug = ?1 ORDER BY r.created_at DESC LIMIT 20`,
      )
      .bind(slug),
    db
      .prepare("SELECT e.summary FROM enrichments AS e JOIN businesses AS b ON b.id = e.business_id WHERE b.slug = ?1")
      .bind(slug),
  ]);
  const business = (businesses?.results as Business[] | undefined)?.[0];
  if (business === undefined) {
    return null;
  }
  const summary = (enrichment?.results as { summary: string }[] | undefined)?.[0]?.summary ?? null;
  return { business, reviews: (reviews?.results as Review[] | undefined) ?? [], summary };
}

/** Listings that contain every word of the query somewhere, best name matches first. */
export async function searchBusinesses(db: D1Database, words: string[], limit: number): Promise<Business[]> {
  const patterns = words.map((word) => `%${word.replace(/[\\%_]/g, "\\$&")}%`);
  const conditions = patterns.map((_, index) => {
    const parameter = `?${index + 1}`;
    return `(b.name LIKE ${parameter} ESCAPE '\\' OR b.description LIKE ${parameter} ESCAPE '\\'
      OR b.city LIKE ${parameter} ESCAPE '\\' OR c.name LIKE ${parameter} ESCAPE '\\')`;
  });
  const { results } = await db
    .prepare(
      `${BUSINESS} WHERE ${conditions.join(" AND ")}
       ORDER BY b.name LIKE ?1 ESCAPE '\\' DESC, b.name LIMIT ?${patterns.length + 1}`,
    )
    .bind(...patterns, limit)
    .all<Business>();
  return results;
}

/** Creates the listing or updates the one with its slug; false when the category does not exist. */
export async function upsertBusiness(db: D1Database, draft: BusinessDraft): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO businesses (slug, name, category_id, description, city, phone, website)
       SELECT ?1, ?2, c.id, ?4, ?5, ?6, ?7 FROM categories AS c WHERE c.slug = ?3
       ON CONFLICT (slug) DO UPDATE SET
         name = excluded.name, category_id = excluded.category_id, description = excluded.description,
         city = excluded.city, phone = excluded.phone, website = excluded.website,
         updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')`,
    )
    .bind(draft.slug, draft.name, draft.category, draft.description, draft.city, draft.phone, draft.website)
    .run();
  return meta.changes > 0;
}

/** Brings every category's count up to date and says how many were wrong. */
export async function recountCategories(db: D1Database): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE categories SET business_count = fresh.total
       FROM (SELECT c.id, count(b.id) AS total FROM categories AS c LEFT JOIN businesses AS b ON b.category_id = c.id GROUP BY c.id) AS fresh
       WHERE fresh.id = categories.id AND fresh.total <> categories.business_count`,
    )
    .run();
  return meta.changes;
}

/** Remembers the owner behind a Google account. */
export async function rememberOwner(db: D1Database, subject: string, email: string): Promise<void> {
  await db
    .prepare(
      "INSERT INTO owners (google_subject, email) VALUES (?1, ?2) ON CONFLICT (google_subject) DO UPDATE SET email = excluded.email",
    )
    .bind(subject, email)
    .run();
}
