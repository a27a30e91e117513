// Stands where wrangler stands, runs the one that `RECORDER_TARGET` names, and writes down what it sent and how it ended.
// Whatever differs from run to run (ids, times, ports, folders) is replaced by its name.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const Module = require("node:module");
const path = require("node:path");

const { RECORDER_TARGET: target, RECORDER_OUT: out, RECORDER_BASE: base } = process.env;
const words = process.argv.slice(2);
const api = process.env.CLOUDFLARE_API_BASE_URL;
/** A preview's storage has other ids each time, and its digest with them. */
const digests = words.some((word) => word.includes("/.xtask/preview/")) ? /digest=[0-9a-f]{32}/g : /$^/g;
const requests = [];
const started = Date.now();

function plain(text) {
  return text
    .replaceAll(base, "[base]")
    .replace(digests, "digest=[digest]")
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "[uuid]")
    .replace(/r\d{8}-\d{6}-[0-9a-f]{7}/g, "[release]")
    .replace(/\bpr7-[0-9a-f]{7}\b/g, "[tag]")
    .replace(/xtask [0-9a-f]{7} /g, "xtask [commit] ")
    .replace(/https:\/\/[0-9a-f]{8}-/g, "https://[version]-")
    .replace(/(digest=)?\b[0-9a-f]{32}\b/g, (all, digest) => (digest ? all : "[id]"))
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, "[jwt]")
    .replace(/\[id\]-[\w-]+/g, "[token]")
    .replace(/(127\.0\.0\.1|localhost):\d+/g, "$1:[port]");
}

/** The fields of a form, each with its headers; any other body as it is. */
function parts(type, body) {
  const boundary = /boundary=(.*)/.exec(type ?? "")?.[1];
  if (!boundary) return plain(body);
  return body.split(`--${boundary}`).slice(1, -1).map((part) => {
    const [head, ...rest] = part.slice(2, -2).split("\r\n\r\n");
    return [plain(head), plain(rest.join("\r\n\r\n"))];
  });
}

function forward(request, answer) {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const { "content-type": type, authorization, "user-agent": agent } = request.headers;
    requests.push({
      line: plain(`${request.method} ${request.url}`),
      type: type?.split("; boundary")[0],
      authorization: plain(authorization ?? ""),
      agent,
      body: parts(type, body.toString()),
    });
    const to = new URL(api.replace("/client/v4", "") + request.url);
    const headers = { ...request.headers, host: to.host };
    const asked = http.request(to, { method: request.method, headers }, (result) => {
      answer.writeHead(result.statusCode, result.headers);
      result.pipe(answer);
    });
    asked.on("error", () => request.socket.destroy());
    asked.end(body);
  });
}

/** The result file, without what differs, and without `log_file_path`, which nobody reads. */
function results() {
  const file = process.env.WRANGLER_OUTPUT_FILE_PATH;
  const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
  return lines.map((line) => {
    const { timestamp, log_file_path, ...entry } = JSON.parse(line);
    return JSON.parse(plain(JSON.stringify(entry)));
  });
}

/** What a dry run leaves: names, and the content of the code. */
function built() {
  const at = words.indexOf("--outdir");
  if (at < 0) return [];
  const folder = words[at + 1];
  const names = fs.readdirSync(folder).sort();
  return names.map((name) => (name === "README.md" ? name : `${name}\n${plain(fs.readFileSync(path.join(folder, name), "utf8"))}`));
}

process.on("exit", (code) => {
  const call = { argv: words.map(plain), started, code, requests, results: results(), built: built() };
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(path.join(out, `${crypto.randomUUID()}.json`), JSON.stringify(call, null, 1));
});

function run() {
  process.argv[1] = target;
  Module._load(target, null, true);
}

const server = http.createServer(forward).listen(0, "127.0.0.1", () => {
  const own = `http://127.0.0.1:${server.address().port}/client/v4`;
  process.env.CLOUDFLARE_API_BASE_URL = own;
  process.env.CLOUDFLARE_BASE_URL = own;
  server.unref();
  run();
});
