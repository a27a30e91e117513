// Carries the tails of several workers to standard output, one JSON object per line:
//   {"worker","open":true}   {"worker","event":…}   {"worker","closed":"why"}
// Reads one line from standard input, [{"worker","url"}], and ends with its input.
import { createInterface } from "node:readline";

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

function listen({ worker, url }) {
  // Not in a variable of the environment and not in argv: the address is all it takes to listen.
  const socket = new WebSocket(url, "trace-v1");
  socket.binaryType = "arraybuffer";
  let why = "";
  socket.onopen = () => {
    socket.send(JSON.stringify({ debug: false }));
    say({ worker, open: true });
  };
  socket.onmessage = ({ data }) => {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    try {
      say({ worker, event: JSON.parse(text) });
    } catch {
      say({ worker, event: { unreadable: text.slice(0, 200) } });
    }
  };
  socket.onerror = (event) => (why = event.message ?? event.error?.message ?? "");
  socket.onclose = ({ code, reason }) => say({ worker, closed: reason || why || `code ${code}` });
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => JSON.parse(line).forEach(listen));
lines.once("close", () => process.exit(0));
