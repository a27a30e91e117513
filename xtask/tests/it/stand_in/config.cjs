// Reads a Worker's config and refuses what the contract does not cover. Knows as much TOML as the fixtures use.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Refusal } = require("./wrangler.cjs");

/** The shapes that the contract test has compared. `STAND_IN_LEARNS` names a file that is told those of this call. */
const COVERED = path.join(__dirname, "covered.txt");

/** The config at `file`, or the one that lies in this folder. */
function read(file) {
  const names = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];
  const found = file ?? names.find((name) => fs.existsSync(name));
  if (!found) throw new Refusal("there is no config");
  if (fs.existsSync(".wrangler/deploy/config.json") && !file) throw new Refusal("a generated config is not covered");
  const text = fs.readFileSync(found, "utf8");
  const config = found.endsWith(".toml") ? toml(text) : jsonc(text);
  check(config, path.extname(found) === ".json" && file ? "derived" : "own");
  // The pipeline sets it: a preview bundles by the config of production.
  const name = process.env.WRANGLER_CI_OVERRIDE_NAME || config.name;
  const isOverridden = name !== config.name;
  return Object.assign(config, { name, isOverridden, folder: path.dirname(path.resolve(found)) });
}

function check(config, kind) {
  const found = new Set();
  shapes(config, kind, found);
  const learns = process.env.STAND_IN_LEARNS;
  if (learns) {
    fs.appendFileSync(learns, [...found].join("\n") + "\n");
    return;
  }
  const covered = new Set(fs.readFileSync(COVERED, "utf8").split("\n"));
  const strange = [...found].filter((shape) => !covered.has(shape));
  if (strange.length) throw new Refusal(`the contract covers no config with ${strange.join(", ")}`);
  if (config.compatibility_date < "2024-09-02") throw new Refusal("checked fetch is not covered");
  if (!/\.m?js$/.test(config.main)) throw new Refusal(`${config.main} is not JavaScript`);
}

/** `services[].binding: string` and so on: every key with the type of its value. */
function shapes(value, name, found) {
  if (Array.isArray(value)) {
    for (const item of value) shapes(item, `${name}[]`, found);
    if (!value.length) found.add(`${name}: empty list`);
  } else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      const shown = name.endsWith(".vars") ? "*" : key;
      shapes(item, `${name}.${shown}`, found);
    }
  } else {
    found.add(`${name}: ${value === null ? "null" : typeof value}`);
  }
}

/** JSON with comments and trailing commas. */
function jsonc(text) {
  const bare = text.replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[^]*?\*\//g, (_, string) => string ?? "");
  return JSON.parse(bare.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string) => string ?? ""));
}

/** Tables, lists of tables, and `key = value` with values on one line. */
function toml(text) {
  const top = {};
  let table = top;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (!line || line.startsWith("#")) continue;
    const header = /^\[(\[?)([\w.-]+)\]?\]$/.exec(line);
    const pair = /^([\w-]+)\s*=\s*(.*)$/.exec(line);
    if (header) table = open(top, header[2].split("."), header[1] === "[");
    else if (pair) table[pair[1]] = value(pair[2]);
    else throw new Refusal(`the TOML ${line} is not covered`);
  }
  return top;
}

function open(top, names, isList) {
  let table = top;
  names.forEach((name, i) => {
    const isLast = i === names.length - 1;
    if (isLast && isList) (table[name] ??= []).push({});
    else table[name] ??= {};
    table = Array.isArray(table[name]) ? table[name].at(-1) : table[name];
  });
  return table;
}

/** A value as JSON: `key =` of an inline table becomes `"key":`. */
function value(text) {
  const tokens = /("(?:[^"\\]|\\.)*")|([A-Za-z_][\w-]*)\s*=|(#.*$)/g;
  const json = text.replace(tokens, (_, string, key) => string ?? (key ? `"${key}":` : ""));
  try {
    return JSON.parse(json);
  } catch {
    throw new Refusal(`the TOML value ${text} is not covered`);
  }
}

module.exports = { read };
