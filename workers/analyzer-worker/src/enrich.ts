// Asks the model about one listing and makes something dependable of its answer. It must not know the database.

import type { Enrichment } from "../../shared/analyzer-api";
import { timestamp } from "../../shared/time";
import type { Listing } from "./listings";

const PROMPT_KEY = "analyzer-prompt.txt";
const PROMPT = `You describe small businesses of southeastern Oklahoma for a directory.
Answer with one JSON object and nothing else:
{"summary": "one plain sentence", "keywords": ["at most eight lower-case words"], "confidence": 0.0 to 1.0}`;

const SUMMARY_LENGTH_MAX = 400;
const KEYWORDS_MAX = 8;
/** How far prose is trusted when the model ignored the format it was asked for. */
const CONFIDENCE_OF_PROSE = 0.3;

export async function enrich(env: Env, listing: Listing): Promise<Enrichment> {
  const answer: unknown = await env.AI.run(env.MODEL, {
    messages: [
      { role: "system", content: await prompt(env) },
      { role: "user", content: JSON.stringify({ name: listing.name, category: listing.category, city: listing.city, description: listing.description }) },
    ],
    max_tokens: 300,
  });
  return { slug: listing.slug, model: env.MODEL, analyzedAt: timestamp(new Date()), ...readAnswer(answer) };
}

/**
 * Reads the model's answer: an object, JSON with or without prose or a code fence around it, or plain prose.
 * Fields of the wrong type are dropped and numbers kept in range; an answer without any text is an error.
 */
export function readAnswer(answer: unknown): Pick<Enrichment, "summary" | "keywords" | "confidence"> {
  const response = isObject(answer) && "response" in answer ? answer.response : answer;
  const fields = isObject(response) ? response : typeof response === "string" ? findJson(response) : null;
  const summary = text(fields?.summary) ?? (fields === null ? text(response) : null);
  if (summary === null) {
    throw new Error("the model's answer holds no summary");
  }
  const keywords = Array.isArray(fields?.keywords) ? fields.keywords : [];
  return {
    summary: summary.slice(0, SUMMARY_LENGTH_MAX),
    keywords: [...new Set(keywords.map((word) => text(word)?.toLowerCase()).filter((word) => word !== undefined))].slice(0, KEYWORDS_MAX),
    confidence: fields === null ? CONFIDENCE_OF_PROSE : confidence(fields.confidence),
  };
}

// The editors may replace the prompt without a release.
async function prompt(env: Env): Promise<string> {
  const template = await env.TEMPLATES.get(PROMPT_KEY);
  return template === null ? PROMPT : template.text();
}

// Models like to wrap JSON in a sentence or a code fence; from the first brace to the last is what counts.
function findJson(answer: string): Record<string, unknown> | null {
  const start = answer.indexOf("{");
  const end = answer.lastIndexOf("}");
  if (start === -1 || end < start) {
    return null;
  }
  try {
    const value: unknown = JSON.parse(answer.slice(start, end + 1));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

function confidence(value: unknown): number {
  const number = typeof value === "string" ? Number.parseFloat(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? Math.min(1, Math.max(0, number)) : CONFIDENCE_OF_PROSE;
}
