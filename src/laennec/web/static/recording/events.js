/** The events of a recording as a table, beside the viewer: choosing in one chooses in the other. */

import { eventDoubt } from "../answer.js";
import { button, h, replace } from "../dom.js";
import { sentence } from "../sentences.js";
import { number, text } from "../text.js";
import { timingInWords } from "../viewer/breathing.js";

const ROWS = 100; // at first, and more at a time
const COLUMNS = ["event", "label", "start", "end", "duration", "probability", "next", "timing", "loop"];
const NUMBERS = new Set(["event", "start", "end", "duration", "probability"]);

/**
 * A table of what `viewer` shows in the layer of events.
 *
 * @param {{doubt: Function, timing: Function}} told `doubt(event)` is why one is uncertain, `timing(event)` when in
 *   a breath it is heard; where that is known of none, there is no column of it.
 */
export function createEventTable(app, viewer, { doubt, timing }) {
  const { signal } = viewer;
  const heading = h("h2", {});
  const body = h("tbody", {});
  const more = button("", () => grow(), {});
  const table = h("table", { class: "events" },
    h("caption", { class: "hidden" }, text("recording.events")),
    h("thead", {}, h("tr", {}, COLUMNS.map((key) =>
      h("th", { scope: "col", class: NUMBERS.has(key) ? "number" : key === "timing" && key }, text(`recording.column.${key}`))))), body);
  const box = h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": text("recording.events") }, table);
  const element = h("div", {}, heading, box, more);
  let rows = ROWS;
  let events = [];

  const show = () => {
    events = viewer.events("events");
    const own = events.filter((event) => app.label(event.label).adventitious !== false);
    const unsure = own.filter((event) => event.uncertain).length;
    heading.textContent = events.length === 0 ? text("recording.no_events") : text("recording.events_of", { own: own.length, all: events.length, unsure });
    replace(body, events.slice(0, rows).map((event, k) => line(app, viewer, event, k, eventDoubt(doubt(event)), timing(event))));
    table.classList.toggle("untimed", !events.some(timing));
    table.hidden = events.length === 0;
    more.hidden = events.length <= rows;
    more.textContent = text("recording.more", { count: events.length - rows });
    mark();
  };
  const mark = () => {
    for (const row of body.children) row.setAttribute("aria-current", String(row.dataset.id === viewer.selected));
    const row = body.querySelector('[aria-current="true"]');
    if (row) reveal(box, row);
  };
  const grow = () => {
    rows += ROWS;
    show();
  };
  viewer.addEventListener("events", show, { signal });
  viewer.addEventListener("channel", show, { signal });
  viewer.addEventListener("select", mark, { signal });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) viewer.select(row.dataset.id);
  }, { signal });
  show();
  return { element, show };
}

/** Scroll the table, but not the page, to a row. */
function reveal(box, row) {
  const head = box.querySelector("thead").offsetHeight;
  const top = row.offsetTop, bottom = top + row.offsetHeight;
  if (top - head < box.scrollTop) box.scrollTop = top - head;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}

function line(app, viewer, event, k, why, timing) {
  const label = app.label(event.label);
  const [share, other] = runnerUp(event);
  const loop = button(text("recording.loop"), () => viewer.loop(event.start_s, event.end_s), {
    "aria-label": text("recording.loop_event", { number: k + 1, label: label.text }) });
  return h("tr", { dataset: { id: event.id }, class: label.adventitious === false ? "quiet" : null },
    h("td", { class: "number" }, String(k + 1)),
    h("th", { scope: "row" }, h("span", { class: "swatch", style: { "--colour": label.colour } }), " ", label.text,
      event.uncertain && [" ", h("span", { class: "flag", title: why.long }, text("answer.uncertain")), " ", h("span", { class: "why quiet small", title: why.long }, why.short)]),
    h("td", { class: "number" }, number(event.start_s, 2)),
    h("td", { class: "number" }, number(event.end_s, 2)),
    h("td", { class: "number" }, number(event.end_s - event.start_s, 2)),
    h("td", { class: "number" }, event.probability == null ? "" : number(event.probability, 2)),
    h("td", {}, share >= 0.005 ? `${app.label(other).text} ${number(share, 2)}` : ""),
    inTheBreath(timing),
    h("td", {}, loop));
}

function inTheBreath(timing) {
  const { words, why } = timing ? timingInWords(timing, text, sentence) : {};
  return h("td", { class: "timing", title: why || null }, words ?? "");
}

function runnerUp({ probabilities = {}, label }) {
  const others = Object.entries(probabilities).filter(([name]) => name !== label).map(([name, share]) => [share, name]);
  return others.sort((a, b) => b[0] - a[0])[0] ?? [0, ""];
}
