// The chat agent: one object per room, which answers from the directory and keeps the transcript.

import { DurableObject } from "cloudflare:workers";
import { keywords, lookUp, type Listing } from "./directory";

/** One line of the conversation. */
export interface Message {
  id: number;
  role: "user" | "agent";
  text: string;
  at: string;
}

const TRANSCRIPT_MAX = 200;
const LISTINGS_MAX = 3;

export class ChatAgent extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS messages (
         id INTEGER PRIMARY KEY AUTOINCREMENT, role TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL)`,
    );
  }

  /** Takes a message, answers it, and returns both lines. */
  async say(text: string): Promise<Message[]> {
    const question = this.#append("user", text);
    const answer = this.#append("agent", await this.#answer(text));
    this.ctx.storage.sql.exec("DELETE FROM messages WHERE id <= ?", answer.id - TRANSCRIPT_MAX);
    return [question, answer];
  }

  /** The conversation so far, oldest line first. */
  async transcript(): Promise<Message[]> {
    return this.ctx.storage.sql.exec("SELECT id, role, text, at FROM messages ORDER BY id").toArray() as unknown as Message[];
  }

  /** Forgets the conversation and says how many lines it had. */
  async clear(): Promise<number> {
    return this.ctx.storage.sql.exec("DELETE FROM messages").rowsWritten;
  }

  #append(role: Message["role"], text: string): Message {
    const at = new Date().toISOString();
    const { id } = this.ctx.storage.sql
      .exec<{ id: number }>("INSERT INTO messages (role, text, at) VALUES (?, ?, ?) RETURNING id", role, text, at)
      .one();
    return { id, role, text, at };
  }

  async #answer(question: string): Promise<string> {
    try {
      return describe(await lookUp(this.env.DB, keywords(question), LISTINGS_MAX));
    } catch (error) {
      // The question stays in the transcript; only this answer is lost.
      console.error("the directory cannot be searched", error);
      return "I cannot look into the directory right now. Please ask again in a moment.";
    }
  }
}

function describe(listings: Listing[]): string {
  if (listings.length === 0) {
    return "I found nothing in the directory. Try the kind of business and a town, such as: coffee in Talihina.";
  }
  return listings.map((l) => `${l.name} in ${l.city}${l.phone === null ? "" : ` (${l.phone})`}: ${l.description}`).join("\n");
}
