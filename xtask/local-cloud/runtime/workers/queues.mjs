// Cloudflare Queues in a worker: one Durable Object per queue keeps the messages and hands them to the consumer.
//
// Producers reach the default export through workerd's own queue binding. Miniflare's broker is not used: it keeps
// messages in memory, so that every reload would lose them, and drops those of a queue without a consumer.

import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

const MESSAGE_BYTES_MAX = 128_000;
const BATCH_MESSAGES_MAX = 100;
const BATCH_BYTES_MAX = 256_000;
const DELAY_SECONDS_MAX = 86_400;
const CONCURRENCY_MAX = 10; // Cloudflare starts more by itself; one machine does not
const DELIVERIES_KEPT = 100;
const CONTENT_TYPES = ["text", "bytes", "json", "v8"];

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const toBase64 = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));
const toText = (buffer) => new TextDecoder().decode(buffer);

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export default class extends WorkerEntrypoint {
  async fetch(request) {
    const { queue, delay } = this.ctx.props ?? {};
    try {
      return queue === undefined ? await this.control(request) : await this.produce(request, queue, delay);
    } catch (error) {
      return new Response(error.message, { status: error.status ?? 500 });
    }
  }

  /** What a queue binding sends. */
  async produce(request, queue, delay) {
    const path = new URL(request.url).pathname;
    if (path === "/metrics") return Response.json(await this.queue(queue).metrics());
    const read = { "/message": oneMessage, "/batch": manyMessages }[path];
    if (read === undefined) throw new Refused(404, `no such queue operation: ${path}`);
    const metrics = await this.queue(queue).enqueue(queue, await read(request), delay ?? null);
    return Response.json({ metadata: { metrics } });
  }

  /** A request of the sidecar: the path is the operation, the body names the queue; without one it is for all. */
  async control(request) {
    const operation = new URL(request.url).pathname.slice(1);
    const { queue, ...body } = await request.json();
    try {
      if (queue !== undefined) return Response.json({ ok: true, ...(await this.queue(queue).control(queue, operation, body)) });
      const ids = Object.keys(this.env.QUEUES);
      const answers = await Promise.all(ids.map((id) => this.queue(id).control(id, operation, body)));
      return Response.json({ ok: true, queues: Object.fromEntries(ids.map((id, at) => [id, answers[at]])) });
    } catch (error) {
      return Response.json({ ok: false, message: error.message });
    }
  }

  queue(id) {
    return this.env.OBJECTS.get(this.env.OBJECTS.idFromName(id));
  }
}

function delayOf(given) {
  if (given === null || given === undefined) return null;
  const seconds = Number(given);
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > DELAY_SECONDS_MAX) throw new Refused(400, `message delay ${given} is invalid`);
  return seconds;
}

function checked(type, body, delay) {
  if (!CONTENT_TYPES.includes(type)) throw new Refused(400, `message content type ${type} is invalid; it must be one of ${CONTENT_TYPES.join(", ")}`);
  if (body.byteLength > MESSAGE_BYTES_MAX) throw new Refused(413, `message length of ${body.byteLength} bytes exceeds limit of ${MESSAGE_BYTES_MAX}`);
  return { type, body, delay };
}

function checkedBatch(messages) {
  if (messages.length > BATCH_MESSAGES_MAX) throw new Refused(413, `batch message count of ${messages.length} exceeds limit of ${BATCH_MESSAGES_MAX}`);
  const bytes = messages.reduce((sum, { body }) => sum + body.byteLength, 0);
  if (bytes > BATCH_BYTES_MAX) throw new Refused(413, `batch size of ${bytes} bytes exceeds limit of ${BATCH_BYTES_MAX}`);
  return messages;
}

async function oneMessage(request) {
  const { headers } = request;
  return [checked(headers.get("x-msg-fmt") ?? "v8", new Uint8Array(await request.arrayBuffer()), delayOf(headers.get("x-msg-delay-secs")))];
}

async function manyMessages(request) {
  const delay = delayOf(request.headers.get("x-msg-delay-secs"));
  const { messages } = await request.json();
  return checkedBatch(messages.map(({ contentType, body, delaySecs }) => checked(contentType ?? "v8", fromBase64(body), delayOf(delaySecs) ?? delay)));
}

/** A message as the REST API takes it: JSON unless it says that it is text. */
function pushed({ body, content_type = "json", delay_seconds }) {
  if (content_type === "text" && typeof body !== "string") throw new Refused(400, "the body of a text message is a string");
  const text = content_type === "text" ? body : JSON.stringify(body ?? null);
  return checked(content_type, new TextEncoder().encode(text), delayOf(delay_seconds));
}

/** A stored body as a consumer worker gets it. */
function delivered({ id, sent, type, body, attempts }) {
  const message = { id, timestamp: new Date(sent), attempts };
  if (type === "v8") return { ...message, serializedBody: body };
  return { ...message, body: type === "bytes" ? body : type === "json" ? JSON.parse(toText(body)) : toText(body) };
}

/** A stored message as the REST API shows it: only text can be read as it is. */
function shown({ id, sent, type, body, attempts }) {
  return { id, timestamp_ms: sent, attempts, body: type === "text" ? toText(body) : toBase64(body), metadata: { "CF-Content-Type": type } };
}

export class Queue extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec(`CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL,
      sent INTEGER NOT NULL, visible INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, delivering INTEGER NOT NULL DEFAULT 0, lease TEXT);
      CREATE TABLE IF NOT EXISTS deliveries (seq INTEGER PRIMARY KEY AUTOINCREMENT, told TEXT NOT NULL);`);
    // What was being delivered when the runtime stopped: nobody will answer for it any more.
    this.sql.exec("UPDATE messages SET delivering = 0 WHERE delivering = 1");
    this.inFlight = 0;
    this.draining = false;
  }

  config(id) {
    return this.env.QUEUES[id];
  }

  async enqueue(id, messages, bindingDelay) {
    const now = Date.now();
    const fallback = bindingDelay ?? this.config(id)?.delivery_delay ?? 0;
    for (const { type, body, delay } of messages) this.add(crypto.randomUUID().replaceAll("-", ""), type, body, now, now + (delay ?? fallback) * 1000);
    await this.pump(id);
    return this.metrics();
  }

  add(id, type, body, sent, visible) {
    this.sql.exec("INSERT INTO messages (id, type, body, sent, visible) VALUES (?, ?, ?, ?, ?)", id, type, body, sent, visible);
  }

  /** Messages that reach this queue because another one gave them up: same id, same age. */
  async bury(id, messages) {
    for (const { id: message, type, body, sent } of messages) this.add(message, type, body, sent, Date.now());
    await this.pump(id);
  }

  metrics() {
    const { count, bytes, oldest } = this.sql.exec("SELECT count(*) AS count, coalesce(sum(length(body)), 0) AS bytes, coalesce(min(sent), 0) AS oldest FROM messages").one();
    return { backlogCount: count, backlogBytes: bytes, oldestMessageTimestamp: oldest };
  }

  async control(id, operation, body) {
    switch (operation) {
      case "wake": return await this.pump(id) ?? {};
      case "drain": return await this.drain(body.ms);
      case "metrics": return this.metrics();
      case "push": return await this.enqueue(id, checkedBatch(body.messages.map(pushed)), null);
      case "peek": return { messages: this.sql.exec("SELECT * FROM messages ORDER BY seq LIMIT ?", body.limit ?? 100).toArray().map(shown) };
      case "pull": return await this.pull(id, body);
      case "ack": return await this.ack(id, body);
      case "purge": return this.purge();
      case "deliveries": return { deliveries: this.sql.exec("SELECT told FROM deliveries ORDER BY seq").toArray().map(({ told }) => JSON.parse(told)) };
      default: throw new Error(`no such queue operation: ${operation}`);
    }
  }

  purge() {
    this.sql.exec("DELETE FROM messages");
    return {};
  }

  /** Starts nothing new and waits for what is being delivered: the runtime is about to be replaced. */
  async drain(ms) {
    this.draining = true;
    const deadline = Date.now() + ms;
    while (this.inFlight > 0 && Date.now() < deadline) await scheduler.wait(10);
    return { left: this.inFlight };
  }

  async alarm() {
    const id = await this.ctx.storage.get("id");
    if (id !== undefined) await this.pump(id);
  }

  /** Delivers what is due, and sets the alarm for what is not. Never waits for a consumer. */
  async pump(id) {
    const config = this.config(id);
    if (config === undefined || this.draining) return;
    const now = Date.now();
    this.sql.exec("DELETE FROM messages WHERE delivering = 0 AND sent < ?", now - config.retention * 1000);
    const { consumer } = config;
    if (consumer === null || config.paused) return;
    while (this.inFlight < (consumer.max_concurrency ?? CONCURRENCY_MAX)) {
      const batch = this.due(consumer, now);
      if (batch.length === 0) break;
      this.inFlight += 1;
      this.ctx.waitUntil(this.deliver(id, config, batch).finally(() => {
        this.inFlight -= 1;
        return this.pump(id);
      }));
    }
    await this.schedule(id, consumer, now);
  }

  /** A batch that is full, or that has waited long enough. */
  due({ batch_size, max_wait_time_ms }, now) {
    const ready = this.sql.exec("SELECT * FROM messages WHERE delivering = 0 AND visible <= ? ORDER BY visible, seq LIMIT ?", now, batch_size).toArray();
    if (ready.length === 0 || (ready.length < batch_size && ready[0].visible + max_wait_time_ms > now)) return [];
    let bytes = 0;
    const batch = ready.filter(({ body }, at) => (bytes += body.byteLength) <= BATCH_BYTES_MAX || at === 0);
    return batch.map((message) => this.take(message));
  }

  take(message) {
    this.sql.exec("UPDATE messages SET delivering = 1, attempts = attempts + 1, lease = NULL WHERE seq = ?", message.seq);
    return { ...message, attempts: message.attempts + 1 };
  }

  async schedule(id, { max_wait_time_ms }, now) {
    const { ready, later } = this.sql.exec(`SELECT min(CASE WHEN visible <= ?1 THEN visible END) AS ready, min(CASE WHEN visible > ?1 THEN visible END) AS later
      FROM messages WHERE delivering = 0`, now).one();
    const times = [ready === null ? null : ready + max_wait_time_ms, later].filter((time) => time !== null);
    if (times.length === 0) return;
    await this.ctx.storage.put("id", id);
    await this.ctx.storage.setAlarm(Math.max(now + 1, Math.min(...times)));
  }

  async deliver(id, { name, consumer }, batch) {
    const started = Date.now();
    const target = pick(consumer.targets);
    const rest = this.metrics();
    let response;
    try {
      response = await this.env[target.binding].queue(name, batch.map(delivered), { metrics: rest });
    } catch (error) {
      response = { outcome: "exception", error: error.message };
    }
    const { acked, retried } = sorted(batch, response);
    const dead = retried.filter(({ attempts }) => attempts > consumer.max_retries);
    // First there, then gone here: a message is rather delivered twice than lost.
    if (dead.length > 0 && consumer.dead_letter !== null) await this.other(consumer.dead_letter).bury(consumer.dead_letter, dead);
    for (const message of [...acked, ...dead]) this.sql.exec("DELETE FROM messages WHERE seq = ?", message.seq);
    const now = Date.now();
    for (const { seq, attempts, delay } of retried) {
      if (attempts <= consumer.max_retries) this.sql.exec("UPDATE messages SET delivering = 0, visible = ? WHERE seq = ?", now + (delay ?? consumer.retry_delay) * 1000, seq);
    }
    this.note({ at: new Date(started).toISOString(), worker: target.script, version: target.version, messages: batch.length, acked: acked.length,
      retried: retried.length - dead.length, dead: dead.length, outcome: response.outcome, ...(response.error ? { error: response.error } : {}) });
  }

  other(id) {
    return this.env.OBJECTS.get(this.env.OBJECTS.idFromName(id));
  }

  note(delivery) {
    this.sql.exec("INSERT INTO deliveries (told) VALUES (?)", JSON.stringify(delivery));
    this.sql.exec("DELETE FROM deliveries WHERE seq <= (SELECT max(seq) FROM deliveries) - ?", DELIVERIES_KEPT);
  }

  /** Leases messages to whoever asks over HTTP. */
  async pull(id, { batch_size, lease_ms, max_retries, dead_letter }) {
    const now = Date.now();
    const dead = this.sql.exec("SELECT * FROM messages WHERE delivering = 0 AND visible <= ? AND attempts > ?", now, max_retries).toArray();
    if (dead.length > 0 && dead_letter !== null) await this.other(dead_letter).bury(dead_letter, dead);
    for (const { seq } of dead) this.sql.exec("DELETE FROM messages WHERE seq = ?", seq);
    if (this.config(id)?.paused) return { messages: [], ...this.metrics() };
    const due = this.sql.exec("SELECT * FROM messages WHERE delivering = 0 AND visible <= ? ORDER BY visible, seq LIMIT ?", now, batch_size).toArray();
    const messages = due.map((message) => {
      const lease = crypto.randomUUID();
      this.sql.exec("UPDATE messages SET attempts = attempts + 1, visible = ?, lease = ? WHERE seq = ?", now + lease_ms, lease, message.seq);
      return { ...shown({ ...message, attempts: message.attempts + 1 }), lease_id: lease };
    });
    return { messages, ...this.metrics() };
  }

  async ack(id, { acks, retries, retry_delay }) {
    const held = (lease) => this.sql.exec("SELECT seq FROM messages WHERE lease = ?", lease ?? "").toArray()[0]?.seq;
    const warnings = {};
    let [acked, retried] = [0, 0];
    for (const { lease_id } of acks) {
      const seq = held(lease_id);
      if (seq === undefined) warnings[lease_id] = "unknown lease";
      else acked += this.sql.exec("DELETE FROM messages WHERE seq = ?", seq).rowsWritten > 0 ? 1 : 0;
    }
    for (const { lease_id, delay_seconds } of retries) {
      const seq = held(lease_id);
      if (seq === undefined) warnings[lease_id] = "unknown lease";
      else {
        this.sql.exec("UPDATE messages SET lease = NULL, visible = ? WHERE seq = ?", Date.now() + (delay_seconds ?? retry_delay) * 1000, seq);
        retried += 1;
      }
    }
    await this.pump(id);
    return { acked, retried, warnings };
  }
}

/** One of the live versions, by its share of traffic. */
function pick(targets) {
  let point = Math.random() * targets.reduce((sum, { percentage }) => sum + percentage, 0);
  return targets.find(({ percentage }) => (point -= percentage) < 0) ?? targets[0];
}

/** Which messages are done and which come again. What was acknowledged stays so, even when the handler throws later. */
function sorted(batch, response) {
  const acknowledged = new Set(response.explicitAcks ?? []);
  const again = new Map((response.retryMessages ?? []).map(({ msgId, delaySeconds }) => [msgId, delaySeconds]));
  const everything = response.ackAll !== true && (response.outcome !== "ok" || response.retryBatch?.retry === true);
  const [acked, retried] = [[], []];
  for (const message of batch) {
    if (acknowledged.has(message.id) || !(everything || again.has(message.id))) acked.push(message);
    else retried.push({ ...message, delay: again.get(message.id) ?? response.retryBatch?.delaySeconds });
  }
  return { acked, retried };
}
