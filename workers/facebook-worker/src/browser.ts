// The only module that speaks to the browser binding. Errors name the step, never the credentials.

/** An open, logged-in browser. */
export interface BrowserLogin {
  sessionId: string;
}

/** What a visitor types into the login form. */
export interface Credentials {
  email: string;
  password: string;
}

// The host is a placeholder: the binding routes by path.
const ORIGIN = "https://browser.invalid";

/** Opens a browser and logs in. Credentials travel in the body, so no log of addresses ever holds them. */
export async function logIn(browser: BrowserRun, credentials: Credentials): Promise<BrowserLogin> {
  const opened = await browser.fetch(`${ORIGIN}/v1/acquire`);
  const answer = await readObject(opened, "open a browser");
  if (typeof answer.sessionId !== "string" || answer.sessionId === "") {
    throw new Error("the browser service opened no session");
  }
  await run(browser, "log in to Facebook", answer.sessionId, {
    url: "https://www.facebook.com/login",
    addScriptTag: [{ content: fillForm({ email: credentials.email, pass: credentials.password }) }],
  });
  return { sessionId: answer.sessionId };
}

/** Puts a message on the page; the id is null when the page does not show it. */
export async function post(browser: BrowserRun, login: BrowserLogin, pageId: string, message: string, proof: string): Promise<string | null> {
  const text = await run(browser, "publish the post", login.sessionId, {
    url: `https://www.facebook.com/${encodeURIComponent(pageId)}`,
    setExtraHTTPHeaders: { "x-appsecret-proof": proof },
    addScriptTag: [{ content: fillForm({ composer: message }) }],
    waitForSelector: { selector: "[data-post-id]" },
  });
  return /data-post-id=\\?"([\w-]+)/.exec(text)?.[1] ?? null;
}

async function run(browser: BrowserRun, goal: string, sessionId: string, options: Record<string, unknown>): Promise<string> {
  const response = await browser.fetch(`${ORIGIN}/v1/content?browser_session=${encodeURIComponent(sessionId)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(options),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`cannot ${goal}: the browser service answered ${response.status}`);
  }
  return text;
}

async function readObject(response: Response, goal: string): Promise<Record<string, unknown>> {
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`cannot ${goal}: the browser service answered ${response.status}`);
  }
  try {
    return await response.json<Record<string, unknown>>();
  } catch {
    throw new Error(`cannot ${goal}: the browser service did not answer with JSON`);
  }
}

// JSON is also a JavaScript literal, so no value can break out of the script.
function fillForm(fields: Record<string, string>): string {
  return `for (const [name, value] of Object.entries(${JSON.stringify(fields)})) {
    const field = document.querySelector('[name="' + name + '"]');
    if (field) { field.value = value; field.form?.requestSubmit(); }
  }`;
}
