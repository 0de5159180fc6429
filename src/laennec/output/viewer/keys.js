/** Keys of the page: whoever has some registers them, and `?` shows all that are. */

import { h } from "./dom.js";

const TYPED = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable]";
const PRESSED = "button, a, summary, input, [role=button], [role=tab], [role=checkbox]";
const MOVED = "input[type=range], input[type=radio], [role=slider], [role=scrollbar], [role=radiogroup], [role=listbox]";
const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const NAMED = ["Ctrl", "Shift", "Alt", "Space", "Escape", "Enter", "Delete", "Backspace", "PageUp", "PageDown", "Home", "End"];

let registered = []; // {keys: string[], text, run, when}
let words = (key) => key;
let dialog = null;

/** Take the words of the dialog from here. */
export function useText(text) {
  words = text;
}

/**
 * Have keys do something, until the returned function is called. Of several for one key, the last counts.
 *
 * @param {{keys: string|string[], text: string, run: (event: KeyboardEvent) => void, when?: () => boolean}[]} list
 *   `keys`: "Space", "ArrowLeft", "Shift+ArrowLeft", "Ctrl+z", "w", "?" …; `text`: what they do, for the
 *   dialog; `when`: whether they count now
 * @returns {() => void}
 */
export function register(list) {
  const added = list.map((entry) => ({ ...entry, keys: [entry.keys].flat() }));
  if (registered.length === 0) document.addEventListener("keydown", onKey);
  registered = [...registered, ...added];
  return () => {
    registered = registered.filter((entry) => !added.includes(entry));
    if (registered.length > 0) return;
    document.removeEventListener("keydown", onKey);
    dialog?.close();
  };
}

/** The key of an event as it is registered: `Shift+ArrowLeft`, `Ctrl+z`, `?`. */
export function named(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shows_shift = event.key.length > 1 || key !== key.toUpperCase() || event.ctrlKey || event.metaKey;
  const held = [
    (event.ctrlKey || event.metaKey) && "Ctrl",
    event.altKey && "Alt",
    event.shiftKey && (shows_shift || event.key === " ") && "Shift",
  ];
  return [...held, key].filter(Boolean).join("+");
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing || !(event.target instanceof Element)) return;
  if (event.target.closest(TYPED) || document.querySelector("dialog:modal")) return;
  const key = named(event);
  if (["Space", "Enter"].includes(key) && event.target.closest(PRESSED)) return;
  if (/Arrow|Home|End|Page/.test(key) && event.target.closest(MOVED)) return;
  const entry = registered.findLast(({ keys, when }) => keys.includes(key) && (when?.() ?? true));
  if (!entry && key !== "?") return;
  event.preventDefault();
  if (entry) entry.run(event);
  else showKeys();
}

/** Show the keys that count now. */
export function showKeys() {
  if (dialog) return;
  const seen = new Set();
  const rows = registered.filter(({ text, keys, when }) => {
    const first = (when?.() ?? true) && text && !seen.has(`${keys}${text}`);
    seen.add(`${keys}${text}`);
    return first;
  });
  const close = h("button", { type: "button", onclick: () => dialog.close() }, words("viewer.close"));
  dialog = h("dialog", { class: "viewer-keys", "aria-labelledby": "viewer-keys-title" },
    h("h2", { id: "viewer-keys-title" }, words("viewer.keys")),
    h("dl", {}, rows.map(({ keys, text }) => h("div", {},
      h("dt", {}, keys.map((key) => h("kbd", {}, keyName(key)))), h("dd", {}, text)))),
    close);
  dialog.addEventListener("close", () => {
    dialog.remove();
    dialog = null;
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** A key as keyboards have it in the language of the page: `Ctrl+z` is Strg Z in German. */
export function keyName(key) {
  return key.split(/\+(?=.)/).map((part) => {
    if (NAMED.includes(part)) return words(`viewer.key_${part.toLowerCase()}`);
    return ARROWS[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  }).join(" ");
}
