// Cuts SQL text into statements. Knows SQLite's lexical grammar and nothing about what statements do.
//
// D1 takes one statement per prepare(), but wrangler sends whole files: the cut must survive semicolons inside
// strings, quoted names, comments and trigger bodies (CREATE TRIGGER … BEGIN …; CASE … END; END).

const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const PARAMETER_NUMBER = /[0-9]+/y;

/**
 * Splits `text` into `{ sql, parameters, line }`, comments and empty statements left out.
 * `line` is where the statement's code starts, from 1.
 * `parameters` is how many bound values the statement wants (the highest `?NNN`, or the count of `?`).
 */
export function splitStatements(text) {
  const statements = [];
  let statement = newStatement(0);
  let at = 0;
  while (at < text.length) {
    const end = skipOpaque(text, at);
    if (end > at) {
      if (!isComment(text, at)) statement.hasCode = true;
      at = end;
      continue;
    }
    const character = text[at];
    if (character === ";" && statement.depth === 0) {
      finish(text, statement, at, statements);
      statement = newStatement(at + 1);
      at += 1;
      continue;
    }
    at = readToken(text, at, statement);
  }
  finish(text, statement, text.length, statements);
  return statements;
}

function newStatement(start) {
  return { start, hasCode: false, words: [], isTrigger: false, depth: 0, parameters: 0 };
}

function finish(text, statement, end, statements) {
  if (!statement.hasCode) return;
  const line = lineOfCode(text, statement.start);
  statements.push({ sql: text.slice(statement.start, end).trim(), parameters: statement.parameters, line });
}

/** The line of the first character that is neither space nor comment. */
function lineOfCode(text, start) {
  let at = start;
  for (;;) {
    while (/\s/.test(text[at] ?? "")) at += 1;
    if (!isComment(text, at)) return text.slice(0, at).split("\n").length;
    at = skipOpaque(text, at);
  }
}

function isComment(text, at) {
  return text.startsWith("--", at) || text.startsWith("/*", at);
}

/** Where the string, quoted name or comment that starts at `at` ends; `at` itself when none starts there. */
function skipOpaque(text, at) {
  if (text.startsWith("--", at)) {
    const end = text.indexOf("\n", at);
    return end === -1 ? text.length : end + 1;
  }
  if (text.startsWith("/*", at)) {
    const end = text.indexOf("*/", at + 2);
    return end === -1 ? text.length : end + 2;
  }
  const quote = text[at];
  if (quote === "[") {
    const end = text.indexOf("]", at);
    return end === -1 ? text.length : end + 1;
  }
  if (quote !== "'" && quote !== '"' && quote !== "`") return at;
  let end = at + 1;
  while (end < text.length) {
    if (text[end] !== quote) end += 1;
    else if (text[end + 1] === quote) end += 2; // a doubled quote is a quote inside the string
    else return end + 1;
  }
  return text.length;
}

function readToken(text, at, statement) {
  const character = text[at];
  WORD.lastIndex = at;
  const word = WORD.exec(text);
  if (word) {
    statement.hasCode = true;
    noteWord(word[0].toUpperCase(), statement);
    return WORD.lastIndex;
  }
  if (character === "?") {
    PARAMETER_NUMBER.lastIndex = at + 1;
    const number = PARAMETER_NUMBER.exec(text);
    statement.parameters = number ? Math.max(statement.parameters, Number(number[0])) : statement.parameters + 1;
    statement.hasCode = true;
    return number ? PARAMETER_NUMBER.lastIndex : at + 1;
  }
  if (!/\s/.test(character)) statement.hasCode = true;
  return at + 1;
}

/** Tracks BEGIN/CASE … END nesting, which only holds semicolons inside a trigger. */
function noteWord(word, statement) {
  if (statement.words.length < 4) {
    statement.words.push(word);
    const [first, second, third] = statement.words;
    const temporary = second === "TEMP" || second === "TEMPORARY";
    statement.isTrigger ||= first === "CREATE" && (temporary ? third : second) === "TRIGGER";
  }
  if (!statement.isTrigger) return;
  if (word === "BEGIN" || (word === "CASE" && statement.depth > 0)) statement.depth += 1;
  else if (word === "END" && statement.depth > 0) statement.depth -= 1;
}
