// Stands in for the browser service: hands out sessions, and posts unless the message asks it to fail.

let sessions = 0;

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/v1/acquire") {
      sessions += 1;
      return Response.json({ sessionId: `session-${sessions}` });
    }
    if (pathname === "/v1/content" && searchParams.get("browser_session")?.startsWith("session-")) {
      const { url, addScriptTag, setExtraHTTPHeaders } = await request.json();
      const script = addScriptTag[0].content;
      if (script.includes("make it fail")) {
        return new Response("gateway down", { status: 502 });
      }
      if (url.endsWith("/login")) {
        const complete = script.includes("page@example.com") && script.includes("test-fb-password");
        return new Response("welcome", { status: complete ? 200 : 403 });
      }
      const signed = setExtraHTTPHeaders["x-appsecret-proof"].length === 43;
      return new Response('<div data-post-id="post_77">', { status: signed ? 200 : 403 });
    }
    return new Response("unknown path", { status: 404 });
  },
};
