/** Dialogs and short messages. */

import { button, h } from "./dom.js";
import { text } from "./text.js";

const SHOWN_MS = 6000;

/**
 * Ask for something in a dialog; resolves with the value of the button that was pressed, null where it was
 * closed.
 *
 * @param {string} title
 * @param {Node|string|Array} content
 * @param {{value: any, text: string, kind?: "primary"|"danger", read?: () => any}[]} choices `read`: gives
 *   the value when the button is pressed; undefined keeps the dialog open
 * @returns {Promise<any>}
 */
export function ask(title, content, choices) {
  return new Promise((resolve) => {
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    let answer = null;
    const finish = (option) => {
      const value = option.read ? option.read() : option.value;
      if (value === undefined) return;
      answer = value;
      dialog.close();
    };
    const buttons = choices.map((option) =>
      h("button", { type: option.kind === "primary" ? "submit" : "button", class: option.kind,
        onclick: (event) => { event.preventDefault(); finish(option); } }, option.text));
    const form = h("form", { method: "dialog" }, content, h("div", { class: "buttons" }, buttons));
    const dialog = h("dialog", { "aria-labelledby": id },
      h("div", { class: "dialog-head" }, h("h2", { id }, title),
        button("✕", () => dialog.close(), { class: "plain", "aria-label": text("app.close") })),
      form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask whether to do something; resolves with true or false. */
export async function confirm(title, content, yes, kind = "primary") {
  const choices = [{ value: false, text: text("app.cancel") }, { value: true, text: yes, kind }];
  return (await ask(title, content, choices)) === true;
}

/** Show a message for a few seconds, read out by screen readers; an error stays until it is closed. */
export function toast(message, kind = "note") {
  const place = document.getElementById("toasts");
  const shown = h("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("span", {}, message),
    button("✕", () => shown.remove(), { class: "plain", "aria-label": text("app.close") }));
  place.append(shown);
  while (place.children.length > 4) place.firstChild.remove();
  if (kind !== "error") setTimeout(() => shown.remove(), SHOWN_MS);
}

/** Show an error as a message, unless it is only that something was stopped. */
export function toastError(error) {
  if (error?.name === "AbortError") return;
  toast(error?.message ?? String(error), "error");
}
