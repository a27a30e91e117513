// The voice agent: one object per phone line, which keeps the calls and the spoken turns of each.

import { DurableObject } from "cloudflare:workers";
import { keywords, lookUp } from "./directory";

/** A call and how long it has become. */
export interface Call {
  id: number;
  startedAt: string;
  endedAt: string | null;
  turns: number;
}

/** What the caller said and what the line answers, ready to be spoken. */
export interface Turn {
  call: number;
  turn: number;
  heard: string;
  spoken: string;
}

export class VoiceAgent extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY AUTOINCREMENT, started_at TEXT NOT NULL, ended_at TEXT);
       CREATE TABLE IF NOT EXISTS turns (
         call_id INTEGER NOT NULL REFERENCES calls (id), turn INTEGER NOT NULL, heard TEXT NOT NULL, spoken TEXT NOT NULL,
         PRIMARY KEY (call_id, turn))`,
    );
  }

  /** Picks up. A call that was never hung up is ended first: a line holds one call. */
  async start(): Promise<Call> {
    await this.end();
    const startedAt = new Date().toISOString();
    const { id } = this.ctx.storage.sql.exec<{ id: number }>("INSERT INTO calls (started_at) VALUES (?) RETURNING id", startedAt).one();
    return { id, startedAt, endedAt: null, turns: 0 };
  }

  /** Answers one thing the caller said; null when no call is going on. */
  async turn(heard: string): Promise<Turn | null> {
    if (this.#openCall() === null) {
      return null;
    }
    const spoken = await this.#speak(heard);
    // Asked again: the caller may have hung up while the directory was searched.
    const call = this.#openCall();
    if (call === null) {
      return null;
    }
    const { turn } = this.ctx.storage.sql
      .exec<{ turn: number }>(
        `INSERT INTO turns (call_id, turn, heard, spoken)
         SELECT ?1, coalesce(max(turn), 0) + 1, ?2, ?3 FROM turns WHERE call_id = ?1 RETURNING turn`,
        call,
        heard,
        spoken,
      )
      .one();
    return { call, turn, heard, spoken };
  }

  /** Hangs up; null when no call is going on. */
  async end(): Promise<Call | null> {
    const call = this.#openCall();
    if (call === null) {
      return null;
    }
    this.ctx.storage.sql.exec("UPDATE calls SET ended_at = ? WHERE id = ?", new Date().toISOString(), call);
    return (await this.calls()).find((candidate) => candidate.id === call) ?? null;
  }

  /** The line's calls, oldest first. */
  async calls(): Promise<Call[]> {
    return this.ctx.storage.sql
      .exec(
        `SELECT c.id, c.started_at AS startedAt, c.ended_at AS endedAt, count(t.turn) AS turns
         FROM calls AS c LEFT JOIN turns AS t ON t.call_id = c.id GROUP BY c.id ORDER BY c.id`,
      )
      .toArray() as unknown as Call[];
  }

  #openCall(): number | null {
    return this.ctx.storage.sql.exec<{ id: number }>("SELECT id FROM calls WHERE ended_at IS NULL").toArray()[0]?.id ?? null;
  }

  // One listing at a time: nobody remembers three spoken ones.
  async #speak(heard: string): Promise<string> {
    try {
      const [listing] = await lookUp(this.env.DB, keywords(heard), 1);
      if (listing === undefined) {
        return "I could not find that. What kind of business are you looking for, and in which town?";
      }
      const phone = listing.phone === null ? "" : ` Their number is ${listing.phone.split("").join(" ").replaceAll(" - ", ", ")}.`;
      return `${listing.name} in ${listing.city}. ${listing.description}${phone}`;
    } catch (error) {
      console.error("the directory cannot be searched", error);
      return "I am having trouble with the directory. Please try again in a moment.";
    }
  }
}
