/** Figures before and after, with their intervals, as numbers and small bars. */

import { h } from "../dom.js";
import { number, text } from "../text.js";

const OF_EVENTS = ["given", "accuracy", "macro_f1", "sensitivity", "specificity", "ece"];
const OF_FOUND = ["agnostic_f1", "f1"];
const OF_RECORDINGS = ["auc", "brier", "ece", "certain", "wrong", "missed"];

/** What a model learnt is worth: of labelled events, found ones, and recordings. */
export function modelFigures(content) {
  const parts = [
    ["events", content.events_before_after, OF_EVENTS],
    ["found", content.found_before_after, OF_FOUND],
    ["recordings", content.recordings_before_after, OF_RECORDINGS],
  ];
  return parts
    .filter(([, figures]) => Object.keys(figures ?? {}).length)
    .map(([part, figures, names], k) => {
      const table = pairs(text(`learn.part.${part}`), part, names.filter((name) => figures[name]).map((name) => [name, figures[name]]));
      return k ? h("details", {}, h("summary", {}, text(`learn.part.${part}`)), table) : table;
    });
}

/** What a calibration is worth. */
export function deviceFigures(scores) {
  const rows = OF_RECORDINGS.map((name) => [name, { before: scores.before[name], after: scores.after[name] }]);
  return pairs(text("learn.part.recordings"), "recordings", rows);
}

function pairs(caption, part, rows) {
  const cell = (score, kind) => h("td", {}, scored(score, kind));
  return h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": caption },
    h("table", { class: "figures" }, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, text("learn.figure")), h("th", { scope: "col" }, text("learn.before")), h("th", { scope: "col" }, text("learn.after")))),
      h("tbody", {}, rows.map(([name, each]) => h("tr", {},
        h("th", { scope: "row" }, text(`learn.of_${part}.${name}`)), cell(each.before, "before"), cell(each.after, "after"))))));
}

/** A score with its interval: numbers, and below them a bar from 0 to 1. */
export function scored(score, kind = "after") {
  if (score?.value == null) return h("span", { class: "quiet" }, "–");
  const [low, high] = score.interval ?? [score.value, score.value];
  const percent = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const range = score.interval ? ` (${number(low, 2)}–${number(high, 2)})` : "";
  return [
    h("span", { class: "score" }, h("strong", {}, number(score.value, 2)), h("span", { class: "quiet" }, range)),
    h("span", { class: `track ${kind}`, "aria-hidden": "true" },
      h("span", { class: "range", style: { left: percent(low), width: `${100 * Math.max(0.005, Math.min(1, high) - Math.max(0, low))}%` } }),
      h("span", { class: "point", style: { left: percent(score.value) } })),
  ];
}

/** How far something is towards what is needed. */
export function towards(label, have, need) {
  return h("div", { class: "towards" }, h("span", {}, label), h("progress", { max: String(need), value: Math.min(have, need), "aria-label": label }),
    h("span", { class: have >= need ? "flag good" : "quiet" }, text(have > need ? "learn.enough" : "learn.of", { have, need })));
}
