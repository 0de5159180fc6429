/**
 * Sentences that come from the server, in the page's language.
 *
 * The server and the command line speak English, with numbers and names put into their sentences. A catalogue
 * (sentences.de.json) has each of them as a template, and what it is in the other language. `{n}`, `{n2}`, …
 * stand for a number, which is written as the language writes it; `{word}` stands for anything, which may
 * itself be a sentence, a list or a label. A sentence that no template fits stays English.
 */

const NUMBER = "-?\\d[\\d,]*(?:\\.\\d+)?(?:e[+-]?\\d+)?%?";
const DEEPEST = 6; // of sentences within sentences
const MOST_KEPT = 2000;

let templates = []; // {pattern: RegExp, names: string[], words: string}
let words = () => null; // of a label or a place
let separator = ".";
let kept = new Map(); // sentences that were asked for before

/**
 * Speak a language from now on.
 *
 * @param {Record<string, string>} catalogue empty for English
 * @param {(term: string) => string|null} named the word of a label or a place
 * @param {string} decimal what the language has for a decimal point
 */
export function useSentences(catalogue, named, decimal) {
  const weight = (template) => template.replace(/\{\w+\}/g, "").length;
  templates = Object.entries(catalogue)
    .sort(([one], [other]) => weight(other) - weight(one)) // the most that is fixed first
    .map(([template, meaning]) => compiled(template, meaning));
  words = named;
  separator = decimal;
  kept = new Map();
}

function compiled(template, meaning) {
  const names = [];
  const parts = template.split(/\{(\w+)\}/).map((part, k) => {
    if (k % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    names.push(part);
    return /^n\d*$/.test(part) ? `(${NUMBER})` : "(.+?)";
  });
  return { pattern: new RegExp(`^${parts.join("")}$`, "s"), names, words: meaning };
}

/** A sentence of the server as it is to be shown. */
export function sentence(english) {
  if (templates.length === 0 || !english) return english ?? "";
  if (!kept.has(english)) {
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(english, translated(String(english), 0) ?? english);
  }
  return kept.get(english);
}

function translated(english, depth) {
  for (const { pattern, names, words: meaning } of depth < DEEPEST ? templates : []) {
    const match = pattern.exec(english);
    if (!match) continue;
    const values = Object.fromEntries(names.map((name, k) => [name, value(match[k + 1], depth + 1)]));
    return meaning.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  }
  return null;
}

function value(text, depth) {
  if (new RegExp(`^${NUMBER}$`).test(text)) return numeral(text);
  const bare = text.replace(/^'(.*)'$/s, "$1");
  const known = words(bare) ?? translated(text, depth);
  if (known !== null) return known;
  for (const mark of ["; ", ", "]) {
    const parts = text.split(new RegExp(`${mark}(?![^(]*\\))`)); // not within brackets
    if (parts.length > 1) return parts.map((part) => value(part, depth + 1)).join(mark);
  }
  return text;
}

/** A number as Python writes it, `1,234.5`, as the language does. */
function numeral(text) {
  const thousands = separator === "," ? "." : ",";
  const written = text.replace(/[.,]/g, (mark) => (mark === "," ? thousands : separator));
  return separator === "," ? written.replace("%", "\u00a0%") : written;
}
