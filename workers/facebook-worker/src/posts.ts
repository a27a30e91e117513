// The queue of posts in D1. It must not know how a post reaches Facebook.

import { timestamp } from "../../shared/time";

/** Whatever can put a message on the page and say under which id, if the page tells. */
export interface Publisher {
  publish(message: string): Promise<{ externalId: string | null }>;
}

/** What one publishing run did. */
export interface Outcome {
  posted: number;
  failed: number;
}

interface Post {
  id: number;
  message: string;
  attempts: number;
}

const ATTEMPTS_MAX = 3;

/** Publishes the oldest due posts; a post that fails stays queued until its attempts are used up. */
export async function publishDue(db: D1Database, publisher: Publisher, limit: number, now: Date): Promise<Outcome> {
  const outcome: Outcome = { posted: 0, failed: 0 };
  for (const post of await duePosts(db, limit, now)) {
    try {
      const { externalId } = await publisher.publish(post.message);
      await markPosted(db, post, externalId);
      outcome.posted += 1;
    } catch (error) {
      console.error(`cannot publish post ${post.id}`, error);
      await markFailed(db, post, error instanceof Error ? error.message : "unknown error");
      outcome.failed += 1;
    }
  }
  return outcome;
}

export async function queueLength(db: D1Database): Promise<number> {
  return (await db.prepare("SELECT count(*) AS n FROM facebook_posts WHERE status = 'queued'").first<number>("n")) ?? 0;
}

async function duePosts(db: D1Database, limit: number, now: Date): Promise<Post[]> {
  const { results } = await db
    .prepare("SELECT id, message, attempts FROM facebook_posts WHERE status = 'queued' AND due_at <= ?1 ORDER BY due_at, id LIMIT ?2")
    .bind(timestamp(now), limit)
    .all<Post>();
  return results;
}

async function markPosted(db: D1Database, post: Post, externalId: string | null): Promise<void> {
  await db
    .prepare(
      `UPDATE facebook_posts SET status = 'posted', attempts = ?2, external_id = ?3, last_error = NULL,
         posted_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?1`,
    )
    .bind(post.id, post.attempts + 1, externalId)
    .run();
}

async function markFailed(db: D1Database, post: Post, message: string): Promise<void> {
  const attempts = post.attempts + 1;
  await db
    .prepare("UPDATE facebook_posts SET status = ?2, attempts = ?3, last_error = ?4 WHERE id = ?1")
    .bind(post.id, attempts >= ATTEMPTS_MAX ? "failed" : "queued", attempts, message)
    .run();
}
