// The owners' dashboard worker: its API, its two agents, and its siblings. Everything else is a static asset.

import { health, secretsSet } from "../../shared/health";
import { guarded, HttpError, json, readJsonObject, textField } from "../../shared/http";
import { requireBearer } from "../../shared/secrets";
import { analyze, askSiblings } from "./siblings";

export { ChatAgent } from "./chat-agent";
export { VoiceAgent } from "./voice-agent";

const ROOM = /^[a-z0-9-]{1,64}$/;
const TEXT_LENGTH_MAX = 1_000;

export default {
  async fetch(request, env): Promise<Response> {
    return guarded(() => route(request, env));
  },
} satisfies ExportedHandler<Env>;

async function route(request: Request, env: Env): Promise<Response> {
  const { pathname } = new URL(request.url);
  const [area, resource, name, action, ...rest] = pathname.slice(1).split("/");
  if (request.method === "GET" && pathname === "/health") {
    return checkHealth(env);
  }
  if (area !== "api") {
    return env.ASSETS.fetch(request);
  }
  if (rest.length === 0) {
    switch (`${request.method} ${resource}${name === undefined ? "" : "/:name"}${action === undefined ? "" : `/${action}`}`) {
      case "GET siblings":
        return askSiblings(request, env);
      case "GET analyze/:name":
        return analyze(roomName(name), env);
      case "GET chat/:name":
        return json({ messages: await env.CHAT_AGENT.getByName(roomName(name)).transcript() });
      case "POST chat/:name":
        return say(request, env, roomName(name));
      case "DELETE chat/:name":
        await requireBearer(request, env.ADMIN_KEY);
        return json({ deleted: await env.CHAT_AGENT.getByName(roomName(name)).clear() });
      case "POST voice/:name/start":
        return json(await env.VOICE_AGENT.getByName(roomName(name)).start(), 201);
      case "POST voice/:name/turn":
        return turn(request, env, roomName(name));
      case "POST voice/:name/end":
        return orConflict(await env.VOICE_AGENT.getByName(roomName(name)).end());
      case "GET voice/:name":
        return json({ calls: await env.VOICE_AGENT.getByName(roomName(name)).calls() });
    }
  }
  throw new HttpError(404, "no such page");
}

async function say(request: Request, env: Env, room: string): Promise<Response> {
  const text = textField(await readJsonObject(request), "text", TEXT_LENGTH_MAX);
  return json({ room, messages: await env.CHAT_AGENT.getByName(room).say(text) }, 201);
}

async function turn(request: Request, env: Env, line: string): Promise<Response> {
  const text = textField(await readJsonObject(request), "text", TEXT_LENGTH_MAX);
  return orConflict(await env.VOICE_AGENT.getByName(line).turn(text));
}

function orConflict(answer: unknown): Response {
  if (answer === null) {
    throw new HttpError(409, "no call is going on; start one first");
  }
  return json(answer);
}

function checkHealth(env: Env): Promise<Response> {
  return health("kiamichi-business-agent", env.CF_VERSION_METADATA, {
    d1: () => env.DB.prepare("SELECT 1 FROM businesses LIMIT 1").first(),
    kv: () => env.CACHE.get("health"),
    r2_templates: () => env.TEMPLATES.head("health"),
    r2_assets: () => env.ASSETS_BUCKET.head("health"),
    chat_agent: () => env.CHAT_AGENT.getByName("health").transcript(),
    voice_agent: () => env.VOICE_AGENT.getByName("health").calls(),
    secrets: secretsSet(env.ADMIN_KEY),
  });
}

function roomName(name: string | undefined): string {
  if (name === undefined || !ROOM.test(name)) {
    throw new HttpError(400, "a name has 1 to 64 lower-case letters, digits or hyphens");
  }
  return name;
}
