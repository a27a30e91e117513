// Everything this worker asks of the analyzer and the facebook worker, over their service bindings.

import type { AnalyzerApi } from "../../shared/analyzer-api";
import { headersForSibling, HttpError, json } from "../../shared/http";

/** Asks both siblings for their health, under the version overrides of the request, and answers with theirs. */
export async function askSiblings(request: Request, env: Env): Promise<Response> {
  const [analyzer, facebook] = await Promise.all([askHealth(request, env.ANALYZER), askHealth(request, env.FACEBOOK)]);
  const ok = analyzer.ok && facebook.ok;
  return json({ ok, siblings: { analyzer, facebook } }, ok ? 200 : 503);
}

/** Has the analyzer enrich one listing by RPC. A call carries no headers, so it follows the live traffic split. */
export async function analyze(slug: string, env: Env): Promise<Response> {
  // The binding's generated type cannot name the class behind it: that worker is another project.
  const analyzer = env.ANALYZER as unknown as AnalyzerApi;
  let enrichment;
  try {
    enrichment = await analyzer.analyze(slug);
  } catch (error) {
    console.error(`the analyzer failed on ${slug}`, error);
    throw new HttpError(502, "the analyzer cannot answer right now");
  }
  if (enrichment === null) {
    throw new HttpError(404, "no such business");
  }
  return json(enrichment);
}

async function askHealth(request: Request, sibling: Pick<Fetcher, "fetch">): Promise<{ ok: boolean; [field: string]: unknown }> {
  try {
    const response = await sibling.fetch("https://sibling/health", { headers: headersForSibling(request) });
    const body = await response.json<Record<string, unknown>>();
    return { ...body, ok: response.ok && body.ok === true };
  } catch (error) {
    console.error("a sibling does not answer", error);
    return { ok: false, error: "does not answer" };
  }
}
