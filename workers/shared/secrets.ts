// Comparing and using secrets without giving them away. It must not know which secrets exist.

import { HttpError } from "./http";

const encoder = new TextEncoder();

/** Compares in time that depends on neither value: both are hashed first, so even the length stays hidden. */
export async function equalSecrets(left: string, right: string): Promise<boolean> {
  const [a, b] = await Promise.all([
    crypto.subtle.digest("SHA-256", encoder.encode(left)),
    crypto.subtle.digest("SHA-256", encoder.encode(right)),
  ]);
  return crypto.subtle.timingSafeEqual(a, b);
}

/** Refuses a request that does not carry the secret as its bearer token. */
export async function requireBearer(request: Request, secret: string | undefined): Promise<void> {
  // An unset secret must never match an empty token.
  if (!secret) {
    throw new HttpError(503, "this worker has no key configured");
  }
  const token = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined || !(await equalSecrets(token, secret))) {
    throw new HttpError(401, "a valid key is needed", { "www-authenticate": "Bearer" });
  }
}

/** HMAC-SHA-256 of a text as URL-safe base64. */
export async function sign(text: string, secret: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
