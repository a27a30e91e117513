// The public site: routes requests to its pages, API, images and sign-in; recounts categories daily.

import { guarded, HttpError } from "../../shared/http";
import { health, secretsSet } from "../../shared/health";
import { requireBearer } from "../../shared/secrets";
import { recountCategories } from "./businesses";
import { saveBusiness } from "./edit";
import { getImage, putImage } from "./images";
import { businessPage, categoryPage, homePage } from "./pages";
import { search } from "./search";
import { finishSignIn, startSignIn } from "./sign-in";

export default {
  async fetch(request, env, ctx): Promise<Response> {
    return guarded(() => route(request, env, ctx));
  },

  async scheduled(controller, env): Promise<void> {
    const changed = await recountCategories(env.DB);
    console.log(`cron ${controller.cron}: ${changed} category counts changed`);
  },
} satisfies ExportedHandler<Env>;

async function route(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  const url = new URL(request.url);
  // A HEAD is a GET whose body the runtime leaves out.
  const method = request.method === "HEAD" ? "GET" : request.method;
  const [first = "", second, ...rest] = url.pathname.slice(1).split("/").map(decodeSegment);
  if (rest.length === 0 && second === undefined) {
    switch (`${method} /${first}`) {
      case "GET /":
        return homePage(env);
      case "GET /health":
        return checkHealth(env);
    }
  }
  switch (`${method} /${first}/`) {
    case "GET /business/":
      return businessPage(env, required(second, rest));
    case "GET /category/":
      return categoryPage(env, required(second, rest));
    case "GET /images/":
      return getImage(request, env, [required(second, []), ...rest].join("/"));
    case "PUT /images/":
      await requireBearer(request, env.ADMIN_KEY);
      return putImage(request, env, [required(second, []), ...rest].join("/"));
  }
  switch (`${method} ${url.pathname}`) {
    case "GET /api/search":
      return search(url, env, ctx);
    case "POST /api/businesses":
      await requireBearer(request, env.ADMIN_KEY);
      return saveBusiness(request, env);
    case "GET /auth/google":
      return startSignIn(url, env);
    case "GET /auth/google/callback":
      return finishSignIn(request, env);
  }
  throw new HttpError(404, "no such page");
}

function checkHealth(env: Env): Promise<Response> {
  return health("kiamichi-biz-connect", env.CF_VERSION_METADATA, {
    d1: () => env.DB.prepare("SELECT 1 FROM businesses LIMIT 1").first(),
    kv: () => env.CACHE.get("health"),
    r2_images: () => env.IMAGES.head("health"),
    r2_templates: () => env.TEMPLATES.head("health"),
    r2_assets: () => env.ASSETS_BUCKET.head("health"),
    secrets: secretsSet(env.ADMIN_KEY, env.GOOGLE_SECRET),
  });
}

function required(segment: string | undefined, rest: string[]): string {
  if (!segment || rest.length > 0) {
    throw new HttpError(404, "no such page");
  }
  return segment;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new HttpError(400, "the path is not valid percent-encoding");
  }
}
