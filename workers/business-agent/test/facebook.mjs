// Stands in for the facebook worker; it is unwell when asked to use the version `sick`.

export default {
  async fetch(request) {
    const overrides = request.headers.get("Cloudflare-Workers-Version-Overrides");
    const ok = !overrides?.includes("sick");
    return Response.json({ ok, worker: "facebook", overrides }, { status: ok ? 200 : 503 });
  },
};
