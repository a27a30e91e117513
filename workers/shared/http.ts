// What every worker says over HTTP in the same way: JSON answers, refusals, and limits on what it reads.
// It must not know any worker's routes, bindings or data.

/** A refusal meant for the caller: its text is sent as is, so it must never carry a secret or an internal cause. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
    this.name = "HttpError";
  }
}

/** Answers with JSON that no intermediary keeps. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store", ...headers } });
}

/** Runs a handler; refusals become their JSON, anything unexpected a 500 whose cause stays in the log. */
export async function guarded(handler: () => Promise<Response>): Promise<Response> {
  try {
    return await handler();
  } catch (error) {
    if (error instanceof HttpError) {
      return json({ error: error.message }, error.status, error.headers);
    }
    console.error("unexpected error", error);
    return json({ error: "internal error" }, 500);
  }
}

/** Reads a JSON object from a request body of bounded size. */
export async function readJsonObject(request: Request, bytesMax = 64 * 1024): Promise<Record<string, unknown>> {
  const text = await request.text();
  if (text.length > bytesMax) {
    throw new HttpError(413, `the body is larger than ${bytesMax} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HttpError(400, "the body is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HttpError(400, "the body is not a JSON object");
  }
  return value as Record<string, unknown>;
}

/** Takes a text field out of a request's object, trimmed and bounded. */
export function textField(body: Record<string, unknown>, name: string, lengthMax: number): string {
  const value = body[name];
  if (typeof value !== "string" || value.trim() === "") {
    throw new HttpError(400, `\`${name}\` must be a non-empty string`);
  }
  if (value.length > lengthMax) {
    throw new HttpError(400, `\`${name}\` is longer than ${lengthMax} characters`);
  }
  return value.trim();
}

/** The header by which one release smokes its own set of versions before any of them gets traffic. */
export const VERSION_OVERRIDES = "Cloudflare-Workers-Version-Overrides";

/**
 * The headers a sub-request to a sibling needs. Cloudflare applies the overrides to the first worker only;
 * they reach the next one when they are set again on the sub-request.
 */
export function headersForSibling(request: Request): Record<string, string> {
  const overrides = request.headers.get(VERSION_OVERRIDES);
  return overrides === null ? {} : { [VERSION_OVERRIDES]: overrides };
}
