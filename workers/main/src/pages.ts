// The pages visitors see. Texts come from the directory; the layout may be replaced by a template in R2.

import { HttpError } from "../../shared/http";
import { businessesInCategory, findBusiness, findCategory, latestBusinesses, listCategories, type Business } from "./businesses";
import { html, Html } from "./html";

export async function homePage(env: Env): Promise<Response> {
  const [categories, latest] = await Promise.all([listCategories(env.DB), latestBusinesses(env.DB, 12)]);
  const body = html`
    <form action="/api/search"><input name="q" placeholder="catfish in Hugo" required><button>Search</button></form>
    <nav>${categories.map((c) => html`<a href="/category/${c.slug}">${c.name} (${c.businessCount})</a> `)}</nav>
    <h2>New and updated</h2>
    ${list(latest)}`;
  return page(env, env.SITE_NAME, body);
}

export async function categoryPage(env: Env, slug: string): Promise<Response> {
  const [category, businesses] = await Promise.all([findCategory(env.DB, slug), businessesInCategory(env.DB, slug)]);
  if (category === null) {
    throw new HttpError(404, "no such category");
  }
  return page(env, `${category.name} - ${env.SITE_NAME}`, html`<h2>${category.name}</h2>${list(businesses)}`);
}

export async function businessPage(env: Env, slug: string): Promise<Response> {
  const found = await findBusiness(env.DB, slug);
  if (found === null) {
    throw new HttpError(404, "no such business");
  }
  const { business, reviews, summary } = found;
  const body = html`
    <h2>${business.name}</h2>
    ${business.imageKey === null ? null : html`<img src="/images/${business.imageKey}" alt="${business.name}">`}
    <p>${business.description}</p>
    ${summary === null ? null : html`<p class="summary">${summary}</p>`}
    <address>${business.street} ${business.city}, ${business.state} ${business.zip}</address>
    ${business.phone === null ? null : html`<p><a href="tel:${business.phone}">${business.phone}</a></p>`}
    ${business.website === null ? null : html`<p><a href="${business.website}" rel="nofollow">${business.website}</a></p>`}
    <p>In <a href="/category/${business.categorySlug}">${business.category}</a></p>
    <h3>Reviews</h3>
    ${reviews.length === 0
      ? html`<p>None yet.</p>`
      : html`<ul>${reviews.map((r) => html`<li>${"★".repeat(r.rating)} ${r.author}: ${r.body}</li>`)}</ul>`}`;
  return page(env, `${business.name} - ${env.SITE_NAME}`, body);
}

function list(businesses: Business[]): Html {
  if (businesses.length === 0) {
    return html`<p>No listings here yet.</p>`;
  }
  return html`<ul class="listings">${businesses.map(
    (b) => html`<li><a href="/business/${b.slug}">${b.name}</a> in ${b.city}: ${b.description}</li>`,
  )}</ul>`;
}

async function page(env: Env, title: string, body: Html): Promise<Response> {
  const markup = html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <meta name="release" content="${env.CF_VERSION_METADATA.tag}">
  <title>${title}</title>
</head>
<body>
  <h1><a href="/">${env.SITE_NAME}</a></h1>
  ${body}
  ${await footer(env)}
</body>
</html>`;
  return new Response(markup.text, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'self'; script-src 'none'; base-uri 'none'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
    },
  });
}

// The editors keep the footer in R2 so they can change it without a release. It is theirs, hence not escaped.
async function footer(env: Env): Promise<Html> {
  const template = await env.TEMPLATES.get("footer.html");
  return template === null ? html`<footer>Businesses of southeastern Oklahoma</footer>` : new Html(await template.text());
}
