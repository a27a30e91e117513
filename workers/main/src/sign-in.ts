// Sign-in with Google for owners. GOOGLE_SECRET signs the `state` that comes back with the visitor and
// authenticates this site when it trades the code for an identity.

import { HttpError, json } from "../../shared/http";
import { equalSecrets, sign } from "../../shared/secrets";
import { rememberOwner } from "./businesses";

const STATE_LIFETIME_MS = 10 * 60 * 1000;
const NONCE_COOKIE = "__Host-sign-in";

/** Sends the visitor to Google with a signed, short-lived state tied to a cookie of this browser. */
export async function startSignIn(url: URL, env: Env): Promise<Response> {
  const nonce = crypto.randomUUID();
  const target = new URL("https://accounts.google.com/o/oauth2/v2/auth");
  target.search = new URLSearchParams({
    client_id: env.GOOGLE_CLIENT_ID,
    redirect_uri: `${url.origin}/auth/google/callback`,
    response_type: "code",
    scope: "openid email",
    state: await makeState(nonce, Date.now() + STATE_LIFETIME_MS, env.GOOGLE_SECRET),
  }).toString();
  return new Response(null, {
    status: 302,
    headers: {
      location: target.href,
      "set-cookie": `${NONCE_COOKIE}=${nonce}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${STATE_LIFETIME_MS / 1000}`,
    },
  });
}

/** Accepts the visitor back: only with a state this site signed for this very browser, and a code Google honours. */
export async function finishSignIn(request: Request, env: Env): Promise<Response> {
  const url = new URL(request.url);
  await verifyState(url.searchParams.get("state") ?? "", readNonce(request), env.GOOGLE_SECRET);
  const code = url.searchParams.get("code");
  if (code === null) {
    throw new HttpError(400, "Google did not grant the sign-in");
  }
  const identity = await tradeCode(code, `${url.origin}/auth/google/callback`, env);
  await rememberOwner(env.DB, identity.subject, identity.email);
  return json({ ok: true, email: identity.email });
}

async function makeState(nonce: string, expires: number, secret: string): Promise<string> {
  const payload = `${nonce}.${expires}`;
  return `${payload}.${await sign(payload, secret)}`;
}

async function verifyState(state: string, nonce: string | null, secret: string): Promise<void> {
  const [stateNonce = "", expires = "", signature = ""] = state.split(".");
  const expected = await sign(`${stateNonce}.${expires}`, secret);
  const genuine = (await equalSecrets(signature, expected)) && nonce !== null && nonce === stateNonce;
  if (!genuine || !(Number(expires) > Date.now())) {
    throw new HttpError(400, "the sign-in was not started here or took too long; start again");
  }
}

function readNonce(request: Request): string | null {
  const cookies = (request.headers.get("cookie") ?? "").split(/; */);
  return cookies.find((cookie) => cookie.startsWith(`${NONCE_COOKIE}=`))?.slice(NONCE_COOKIE.length + 1) ?? null;
}

async function tradeCode(code: string, redirectUri: string, env: Env): Promise<{ subject: string; email: string }> {
  const response = await fetch("https://oauth2.googleapis.com/token", {
    method: "POST",
    body: new URLSearchParams({
      code,
      client_id: env.GOOGLE_CLIENT_ID,
      client_secret: env.GOOGLE_SECRET,
      redirect_uri: redirectUri,
      grant_type: "authorization_code",
    }),
  });
  if (!response.ok) {
    throw new HttpError(502, "Google refused the sign-in");
  }
  const { id_token: token } = await response.json<{ id_token?: string }>();
  // The token came from Google over TLS in this very request, so its signature needs no second check.
  const claims = readClaims(token ?? "");
  if (claims === null || claims.aud !== env.GOOGLE_CLIENT_ID) {
    throw new HttpError(502, "Google's answer is not for this site");
  }
  return { subject: claims.sub, email: claims.email };
}

function readClaims(token: string): { sub: string; email: string; aud: string } | null {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const { sub, email, aud } = JSON.parse(atob(payload)) as Record<string, unknown>;
    return typeof sub === "string" && typeof email === "string" && typeof aud === "string" ? { sub, email, aud } : null;
  } catch {
    return null;
  }
}
