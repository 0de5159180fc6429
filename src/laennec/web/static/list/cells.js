/** The cells of a recording's row. */

import { answerShort, countsSentence, eventCounts, qualityShort } from "../answer.js";
import { h } from "../dom.js";
import { sentence } from "../sentences.js";
import { duration, number, percent, text, textOr } from "../text.js";

const END_LETTERS = 12; // of a name, that are always seen

/** In their order; `edited` says how, `sorted` whether it can be sorted by. */
export const COLUMNS = [
  { key: "chosen", content: chosen },
  { key: "name", content: name, sorted: true },
  { key: "patient", content: patient, sorted: true, edited: "text" },
  { key: "age_years", content: (app, row) => (row.age_years == null ? unknown() : number(row.age_years)), sorted: true, edited: "number" },
  { key: "sex", content: (app, row) => (row.sex ? textOr(`sex.${row.sex}`, row.sex) : unknown()), sorted: true, edited: "choice" },
  { key: "position", content: (app, row) => (row.position ? placeName(row.position) : unknown()), sorted: true, edited: "choice" },
  { key: "duration_s", content: (app, row) => duration(row.duration_s), sorted: true },
  { key: "answer", content: answer, sorted: true },
  { key: "events", content: events, sorted: true },
  { key: "quality", content: (app, row) => qualityShort(row), sorted: true },
  { key: "reviewed", content: reviewed, sorted: true },
];

/** The name of a place on the chest in the page's language. */
export function placeName(position) {
  return textOr(`place.${position}`, position);
}

const unknown = () => h("span", { class: "unknown" }, "–");

/** One cell. Controls in it are left out of the tab order: the grid itself moves by arrow keys. */
export function cell(app, column, row, isChosen) {
  const content = column.content(app, row, isChosen);
  return h("td", { role: "gridcell", tabindex: "-1", class: `${column.key}${column.edited ? " edited" : ""}`,
    dataset: { column: column.key, name: text(`list.column.${column.key}`) } }, content);
}

function chosen(app, row, isChosen) {
  return h("input", { type: "checkbox", tabindex: "-1", checked: isChosen, "aria-label": text("list.choose", { name: row.name }) });
}

function name(app, row) {
  // The end of a name often tells recordings apart, so a long one is cut in its middle.
  const letters = [...row.name];
  const end = letters.splice(Math.max(0, letters.length - END_LETTERS)).join("");
  return h("a", { href: `#/recording/${row.id}`, tabindex: "-1", title: `${row.name}\n${row.path}`, "aria-label": row.name },
    h("span", { class: "start" }, letters.join("")), h("span", {}, end));
}

function patient(app, row) {
  if (!row.patient) return unknown();
  return h("span", { class: "patient-name" }, h("span", {}, row.patient),
    h("a", { class: "chest", href: `#/patient/${encodeURIComponent(row.patient)}`, tabindex: "-1",
      "aria-label": text("list.chest", { patient: row.patient }), title: text("list.chest", { patient: row.patient }) }));
}

function answer(app, row) {
  switch (row.state) {
    case "done": return [answerShort(app, row.record), row.error && h("span", { class: "flag", title: sentence(row.error) }, text("list.not_kept"))];
    case "failed": return h("span", { class: "failure", title: sentence(row.error) }, h("strong", {}, text("list.state.failed")), " ", sentence(row.error));
    case "running": return h("span", { class: "work" },
      h("progress", { max: "1", value: row.progress, "aria-label": text("list.state.running") }),
      h("span", { class: "quiet" }, percent(row.progress)), action("cancel"));
    case "waiting": return h("span", { class: "work quiet" }, text("list.state.waiting"), action("cancel"));
    default: return h("span", { class: "work quiet" }, text("list.state.cancelled"), action("analyze"));
  }
}

function action(kind) {
  return h("button", { type: "button", class: "plain small", tabindex: "-1", dataset: { action: kind } }, text(`list.do.${kind}`));
}

function events(app, row) {
  if (!Object.keys(row.counts).length) return "";
  return h("span", { class: "found" }, h("span", { class: "cut", "aria-hidden": "true" }, eventCounts(app, row.counts)),
    h("span", { class: "hidden" }, countsSentence(app, row.counts)),
    row.uncertain_events > 0 && h("span", { class: "unsure", title: text("list.uncertain_events", { count: row.uncertain_events }) }, `${row.uncertain_events} ?`));
}

function reviewed(app, row) {
  return row.reviewed.length ? h("span", { class: "reviewed" }, `✓ ${row.reviewed.join(", ")}`) : "";
}
