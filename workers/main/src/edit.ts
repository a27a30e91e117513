// POST /api/businesses: turns an editor's JSON into a listing. The caller has already checked the key.

import { HttpError, json, readJsonObject, textField } from "../../shared/http";
import { upsertBusiness } from "./businesses";

const SLUG = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

export async function saveBusiness(request: Request, env: Env): Promise<Response> {
  const body = await readJsonObject(request);
  const slug = textField(body, "slug", 80);
  if (!SLUG.test(slug)) {
    throw new HttpError(400, "`slug` must be lower-case words joined by single hyphens");
  }
  const category = textField(body, "category", 80);
  const saved = await upsertBusiness(env.DB, {
    slug,
    name: textField(body, "name", 120),
    category,
    description: textField(body, "description", 2_000),
    city: textField(body, "city", 80),
    phone: optionalText(body, "phone", 40),
    website: optionalUrl(body, "website"),
  });
  if (!saved) {
    throw new HttpError(422, `there is no category \`${category}\``);
  }
  return json({ ok: true, slug, url: `/business/${slug}` });
}

function optionalText(body: Record<string, unknown>, name: string, lengthMax: number): string | null {
  return body[name] === undefined || body[name] === null ? null : textField(body, name, lengthMax);
}

// The page prints the address as a link: anything but http(s) could run script in a visitor's browser.
function optionalUrl(body: Record<string, unknown>, name: string): string | null {
  const text = optionalText(body, name, 300);
  if (text !== null && !/^https?:$/.test(URL.parse(text)?.protocol ?? "")) {
    throw new HttpError(400, `\`${name}\` must be an http or https address`);
  }
  return text;
}
