// Trace items: takes what the tail worker reports and hands it to whoever listens, one JSON object per line.

const PENDING_BYTES_MAX = 4 << 20;
const RECENT_MAX = 256;

export class Events {
  constructor(library) {
    this.library = library;
    this.listeners = new Set();
    this.recent = []; // the last scheduled events, to tell why one failed
    this.waiting = new Set();
  }

  /** The tail worker's report, called by Miniflare. */
  async receive(request) {
    const { script, version, items } = await request.json();
    for (const item of items) {
      const event = { script, version, item: { ...item, scriptName: script, scriptVersion: { id: version } } };
      this.publish(event);
      if (item.event?.cron !== undefined) this.remember(event);
    }
    return new this.library.Response(null, { status: 204 });
  }

  publish(event) {
    if (this.listeners.size === 0) return;
    const line = `${JSON.stringify(event)}\n`;
    for (const response of this.listeners) {
      // A listener that does not read loses events rather than filling the memory.
      if (response.writableLength < PENDING_BYTES_MAX) response.write(line);
    }
  }

  /** Streams events into an HTTP response until it is closed. */
  stream(response) {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write("\n"); // sends the head now
    this.listeners.add(response);
    response.on("close", () => this.listeners.delete(response));
  }

  remember(event) {
    this.recent.push(event);
    if (this.recent.length > RECENT_MAX) this.recent.shift();
    for (const wake of this.waiting) wake();
  }

  /** The trace item of a scheduled run, or null when none arrives in time. */
  async scheduledRun(script, scheduledTime, patience_ms) {
    const find = () => this.recent.find((event) => event.script === script && Number(new Date(event.item.event.scheduledTime)) === scheduledTime);
    const deadline = Date.now() + patience_ms;
    for (let found = find(); ; found = find()) {
      if (found !== undefined) return found.item;
      const left = deadline - Date.now();
      if (left <= 0) return null;
      await new Promise((resolve) => {
        const wake = () => { clearTimeout(timer); this.waiting.delete(wake); resolve(); };
        const timer = setTimeout(wake, left);
        this.waiting.add(wake);
      });
    }
  }
}
