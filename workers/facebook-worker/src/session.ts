// The one logged-in session, kept in a SQLite-backed Durable Object so that concurrent runs share one login.

import { DurableObject } from "cloudflare:workers";
import { sign } from "../../shared/secrets";
import { logIn, post } from "./browser";

/** What others may know about the session; it holds no token. */
export interface SessionStatus {
  active: boolean;
  expiresAt: string | null;
  refreshes: number;
}

interface SessionRow extends Record<string, SqlStorageValue> {
  session_id: string;
  expires_at: number;
}

const LIFETIME_MS = 16 * 60 * 60 * 1000; // longer than the widest gap between two refreshes

export class FacebookSession extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS session (
         id INTEGER PRIMARY KEY CHECK (id = 1), session_id TEXT NOT NULL, expires_at INTEGER NOT NULL, refreshes INTEGER NOT NULL)`,
    );
  }

  /** Logs in anew and replaces the stored session; when it fails, the old session stays. */
  async refresh(): Promise<SessionStatus> {
    const login = await logIn(this.env.BROWSER, { email: this.env.FB_EMAIL, password: this.env.FB_PASSWORD });
    this.ctx.storage.sql.exec(
      `INSERT INTO session (id, session_id, expires_at, refreshes) VALUES (1, ?, ?, 1)
       ON CONFLICT (id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at, refreshes = refreshes + 1`,
      login.sessionId,
      Date.now() + LIFETIME_MS,
    );
    return this.status();
  }

  /** Publishes with the stored session, logging in first when there is none or it is too old. */
  async publish(message: string): Promise<{ externalId: string | null }> {
    if (this.#current() === null) {
      await this.refresh();
    }
    const sessionId = this.#current()?.session_id;
    if (sessionId === undefined) {
      throw new Error("the new session has expired already");
    }
    const proof = await sign(sessionId, this.env.FB_SECRET);
    return { externalId: await post(this.env.BROWSER, { sessionId }, this.env.PAGE_ID, message, proof) };
  }

  async status(): Promise<SessionStatus> {
    const row = this.ctx.storage.sql.exec<SessionRow & { refreshes: number }>("SELECT * FROM session").toArray()[0];
    return {
      active: this.#current() !== null,
      expiresAt: row === undefined ? null : new Date(row.expires_at).toISOString(),
      refreshes: row?.refreshes ?? 0,
    };
  }

  #current(): SessionRow | null {
    return this.ctx.storage.sql.exec<SessionRow>("SELECT session_id, expires_at FROM session WHERE expires_at > ?", Date.now()).toArray()[0] ?? null;
  }
}
