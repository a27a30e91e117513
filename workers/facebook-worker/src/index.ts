// The facebook worker: publishes due posts and refreshes its session, each on its own crons.

import { health, secretsSet } from "../../shared/health";
import { guarded, HttpError, json } from "../../shared/http";
import { requireBearer } from "../../shared/secrets";
import { publishDue, queueLength } from "./posts";

export { FacebookSession } from "./session";

const REFRESH_CRONS = ["0 2 * * *", "0 14 * * *"];

export default {
  async fetch(request, env): Promise<Response> {
    return guarded(() => route(request, env));
  },

  async scheduled(controller, env): Promise<void> {
    if (REFRESH_CRONS.includes(controller.cron)) {
      const status = await session(env).refresh();
      console.log(`cron ${controller.cron}: session good until ${status.expiresAt}`);
    } else {
      const outcome = await publishDue(env.DB, session(env), env.POSTS_PER_RUN, new Date(controller.scheduledTime));
      console.log(`cron ${controller.cron}: ${outcome.posted} posted, ${outcome.failed} failed`);
    }
  },
} satisfies ExportedHandler<Env>;

async function route(request: Request, env: Env): Promise<Response> {
  switch (`${request.method} ${new URL(request.url).pathname}`) {
    case "GET /health":
      return checkHealth(env);
    case "GET /status":
      return json({ queued: await queueLength(env.DB), session: await session(env).status() });
    case "POST /publish":
      await requireBearer(request, env.FB_SECRET);
      return json(await publishDue(env.DB, session(env), env.POSTS_PER_RUN, new Date()));
    case "POST /refresh":
      await requireBearer(request, env.FB_SECRET);
      return json(await session(env).refresh());
  }
  throw new HttpError(404, "no such page");
}

function checkHealth(env: Env): Promise<Response> {
  return health("kiamichi-facebook-worker", env.CF_VERSION_METADATA, {
    d1: () => env.DB.prepare("SELECT 1 FROM facebook_posts LIMIT 1").first(),
    kv: () => env.CACHE.get("health"),
    r2_images: () => env.IMAGES.head("health"),
    durable_object: () => session(env).status(),
    // Present and callable; a real browser session is a billed, scarce thing.
    browser: async () => {
      if (typeof env.BROWSER.fetch !== "function") {
        throw new Error("the browser binding has no fetch method");
      }
    },
    secrets: secretsSet(env.FB_SECRET, env.FB_EMAIL, env.FB_PASSWORD),
  });
}

// One page, one login, one session: its object is found by the page's name.
function session(env: Env): DurableObjectStub<import("./session").FacebookSession> {
  return env.SESSION.getByName(env.PAGE_ID);
}
