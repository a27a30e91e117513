// /images/*: pictures of businesses, straight from R2.

import { HttpError, json } from "../../shared/http";

const BYTES_MAX = 5 * 1024 * 1024;
// SVG is left out on purpose: it can carry script.
const TYPES = ["image/jpeg", "image/png", "image/webp", "image/avif"];

export async function getImage(request: Request, env: Env, key: string): Promise<Response> {
  const object = await env.IMAGES.get(key, { onlyIf: request.headers });
  if (object === null) {
    throw new HttpError(404, "no such image");
  }
  const headers = new Headers({ "cache-control": "public, max-age=3600", "x-content-type-options": "nosniff", etag: object.httpEtag });
  object.writeHttpMetadata(headers);
  // R2 leaves the body out when the condition of the request did not hold: the visitor has this very picture.
  return "body" in object ? new Response(object.body, { headers }) : new Response(null, { status: 304, headers });
}

export async function putImage(request: Request, env: Env, key: string): Promise<Response> {
  const contentType = request.headers.get("content-type") ?? "";
  if (!TYPES.includes(contentType)) {
    throw new HttpError(415, `an image must be one of ${TYPES.join(", ")}`);
  }
  const bytes = await request.arrayBuffer();
  if (bytes.byteLength === 0 || bytes.byteLength > BYTES_MAX) {
    throw new HttpError(413, `an image must have between 1 and ${BYTES_MAX} bytes`);
  }
  const object = await env.IMAGES.put(key, bytes, { httpMetadata: { contentType } });
  return json({ ok: true, key: object.key, size: object.size, etag: object.httpEtag }, 201);
}
