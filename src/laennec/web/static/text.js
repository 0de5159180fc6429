/** The words of the page, in one language at a time: texts.en.json and texts.de.json. */

import { useSentences } from "./sentences.js";

export const LANGUAGES = { en: "English", de: "Deutsch" };
const FILES = ["", "viewer/"]; // the viewer has its own words, since reports need them too
const KEPT = "laennec.language";

let words = {};
let english = {};
let current = "en";
let plural = new Intl.PluralRules("en");
let choices = 0; // of a language, so far

/** The language that was chosen here before, else the first of the browser's that there is. */
export function preferredLanguage() {
  const kept = remembered(KEPT);
  if (kept in LANGUAGES) return kept;
  const wanted = (navigator.languages ?? []).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => tag in LANGUAGES) ?? "en";
}

/** Load the words of a language; English stands in for a key that it lacks. */
export async function useLanguage(language) {
  const read = async (path) => (await fetch(path)).json();
  const load = async (code) => Object.assign({}, ...(await Promise.all(FILES.map((folder) => read(`${folder}texts.${code}.json`)))));
  const others = language === "en" ? [{}, {}] : [load(language), read(`sentences.${language}.json`)];
  const own = ++choices;
  const loaded = await Promise.all([Object.keys(english).length ? english : load("en"), ...others]);
  if (own !== choices) return; // another one was chosen meanwhile
  let sentences;
  [english, words, sentences] = loaded;
  current = language;
  useSentences(sentences, term, number(0.5, 1).slice(1, 2));
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** Keep a choice for the next visit. */
export function chooseLanguage(language) {
  remember(KEPT, language);
  return useLanguage(language);
}

export const language = () => current;

/**
 * The words of a key. `{name}` in them is replaced by the value of that name; where there is a `count`, the
 * key is followed by `.one` or `.other`, as the language has it.
 *
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function text(key, values = {}) {
  const form = "count" in values ? `${key}.${plural.select(values.count)}` : key;
  const found = words[form] ?? english[form] ?? words[key] ?? english[key];
  if (found === undefined) {
    console.error(`no text for ${form}`);
    return key;
  }
  return found.replace(/\{(\w+)\}/g, (all, name) => shown(values[name]) ?? all);
}

/** The words of a key, or `otherwise` where there are none: for labels of models, which may be anything. */
export function textOr(key, otherwise) {
  return words[key] ?? english[key] ?? otherwise;
}

/** The word of a label or a place, as the server names it; null where it is none. */
function term(name) {
  if (/^(CAS|DAS)( & DAS)?$/.test(name)) return name;
  const key = slug(name);
  return words[`label.${key}`] ?? words[`place.${key}`] ?? null;
}

/** A name as keys have it: Fine Crackle is fine-crackle. */
export function slug(name) {
  return String(name).toLowerCase().replace(/[^a-z]+/g, "-");
}

function shown(value) {
  return typeof value === "number" ? number(value) : value;
}

/** A number as the language writes it. */
export function number(value, digits) {
  const exactly = digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(current, exactly).format(value);
}

/** A share as per cent. */
export function percent(share) {
  return new Intl.NumberFormat(current, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** Seconds as 9.3 s, 2:05 or 1:02:05. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${number(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** What was kept under a key; null where nothing was, or where the browser keeps nothing. */
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keep a value for the next visit, where the browser keeps anything. */
export function remember(key, value) {
  try {
    if (value == null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing works as well.
  }
}
