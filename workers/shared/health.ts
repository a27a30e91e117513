// The one shape of GET /health. A release is smoked and verified by it, so it names the running version and
// release, touches the bindings, and never throws. It must not reveal a cause: those go to the log.

import { json } from "./http";

/** `ok`, `failed` or `timeout`: enough to find the culprit, nothing about its contents. */
export type CheckResult = "ok" | "failed" | "timeout";

/** Resolves when the binding works, rejects when it does not. */
export type Check = () => Promise<unknown>;

const CHECK_TIMEOUT_MS = 3_000;

/** Runs all checks at once and answers 200, or 503 when one of them did not pass. */
export async function health(worker: string, metadata: WorkerVersionMetadata, checks: Record<string, Check>): Promise<Response> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await runCheck(name, check)] as const),
  );
  const ok = results.every(([, result]) => result === "ok");
  const body = { ok, worker, version: metadata?.id ?? "", release: metadata?.tag ?? "", checks: Object.fromEntries(results) };
  return json(body, ok ? 200 : 503);
}

/** Passes when every named secret is set; the answer tells neither names nor values. */
export function secretsSet(...values: (string | undefined)[]): Check {
  return async () => {
    if (values.some((value) => !value)) {
      throw new Error("a required secret is not set");
    }
  };
}

async function runCheck(name: string, check: Check): Promise<CheckResult> {
  let timer: number | null = null;
  const timeout = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(() => resolve("timeout"), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([check().then((): CheckResult => "ok"), timeout]);
  } catch (error) {
    console.error(`health check ${name} failed`, error);
    return "failed";
  } finally {
    clearTimeout(timer);
  }
}
