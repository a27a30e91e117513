// HTML text in which every interpolated value is escaped unless it is HTML already.

/** Markup that has been escaped and may be sent to a browser. */
export class Html {
  constructor(readonly text: string) {}
}

/** Builds markup; values are escaped, nested `html` and arrays of it are kept, null and undefined vanish. */
export function html(parts: TemplateStringsArray, ...values: unknown[]): Html {
  return new Html(parts.reduce((text, part, index) => text + render(values[index - 1]) + part));
}

function render(value: unknown): string {
  if (value === null || value === undefined) {
    return "";
  }
  if (value instanceof Html) {
    return value.text;
  }
  if (Array.isArray(value)) {
    return value.map(render).join("");
  }
  return escape(String(value));
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
