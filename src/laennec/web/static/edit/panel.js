/** The editor's controls: what can be done to the chosen event and to the recording. */

import { button, choice, field, h, replace } from "../dom.js";
import { number, remember, remembered, text } from "../text.js";
import { keyName } from "../viewer/keys.js";

export const ORDERS = ["uncertain", "informative", "random"];
const ORDER = "laennec.order";
const STEP_S = "0.01";

/** The order of review that was chosen last. */
export function reviewOrder() {
  const kept = remembered(ORDER);
  return ORDERS.includes(kept) ? kept : ORDERS[0];
}

/** A choice of the order of review. */
export function orderChoice(changed) {
  return choice(ORDERS.map((name) => [name, text(`edit.order_${name}`)]), reviewOrder(), (name) => {
    remember(ORDER, name);
    changed?.(name);
  });
}

/**
 * @param {object} app
 * @param {object} act what the controls do: undo, redo, accept, reject, remove, split, merge, label(name),
 *   times({start_s, end_s}), draw, snap(on), record(label|null), review, next, adopt, offered, files
 * @returns {{element: HTMLElement, update(view): void}}
 */
export function createPanel(app, act) {
  const key = (name) => h("kbd", { "aria-hidden": "true" }, keyName(name));
  const tool = (words, letter, run, attributes) => button([words, letter && key(letter)], run, attributes);
  const undo = tool(text("edit.undo"), "Ctrl+z", act.undo);
  const redo = tool(text("edit.redo"), "Ctrl+y", act.redo);
  const accept = tool(text("edit.accept"), "A", act.accept, { class: "primary" });
  const reject = tool(text("edit.reject"), "R", act.reject);
  const split = tool(text("edit.split"), "S", act.split);
  const merge = tool(text("edit.merge"), "M", act.merge);
  const remove = tool(text("edit.delete"), "Delete", act.remove);
  const draw = tool(text("edit.draw"), "D", act.draw, { "aria-pressed": "false", title: text("edit.draw_help") });
  const snap = h("input", { type: "checkbox", onchange: (event) => act.snap(event.target.checked) });
  const labels = labelButtons(app, act, key);
  const times = timeFields(app, act);
  const record = choice([], "", (value) => act.record(value || null), {});
  const review = tool("", "V", act.review, { "aria-pressed": "false" });
  const status = h("span", { class: "edit-status", role: "status" });
  const offered = h("div", {});
  const element = h("div", { class: "edit" },
    h("div", { class: "row" }, undo, redo, status, h("span", { class: "gap" }), accept, reject, split, merge, remove, draw,
      h("label", { class: "option" }, snap, text("edit.snap"))),
    h("div", { class: "row edit-marks" }, ...labels.elements),
    times.element,
    offered,
    h("div", { class: "row" }, field(text("edit.record"), record), review,
      tool(text("edit.next"), "G", act.next), field(text("edit.order"), orderChoice()),
      h("span", { class: "gap" }), button(text("edit.files"), act.files)));
  let known = null; // the record labels that are offered

  return {
    element,
    /** Show a view: {state, event, brush, drawing, canUndo, canRedo, waiting, waits, next}. */
    update(view) {
      const { state, event } = view;
      undo.disabled = !view.canUndo;
      redo.disabled = !view.canRedo;
      accept.disabled = !event || !["suggested", "offered"].includes(event.status);
      for (const each of [reject, split, remove]) each.disabled = !event || event.status === "offered";
      merge.disabled = !view.next;
      draw.setAttribute("aria-pressed", String(view.drawing));
      labels.update(event?.label ?? view.brush, Boolean(event));
      times.update(event, view.overlap);
      known = recordOptions(app, record, state, known);
      record.value = state.record ?? "";
      review.firstChild.textContent = text(state.reviewed ? "edit.reviewed" : "edit.review");
      review.setAttribute("aria-pressed", String(state.reviewed));
      const words = view.waits ? text("edit.waits", { count: view.waiting, why: view.waits })
        : text(view.waiting ? "edit.saving" : "edit.saved");
      if (status.textContent !== words) status.textContent = words;
      status.classList.toggle("waits", Boolean(view.waits));
      offer(offered, state, view.shows_offered, act);
    },
  };
}

function labelButtons(app, act, key) {
  const made = (label, letter) => button([swatch(label), app.label(label.name).text, letter && key(letter)], () => act.label(label.name), {
    "aria-pressed": "false", dataset: { label: label.name } });
  const events = app.labels.events.map((label, k) => made(label, k < 9 ? String(k + 1) : ""));
  const phases = app.labels.phases.map((label) => made(label, label.name[0].toUpperCase()));
  const legend = h("legend", {}, "");
  const elements = [
    h("fieldset", { class: "edit-labels" }, legend, events),
    h("fieldset", { class: "edit-labels" }, h("legend", {}, text("edit.phases")), phases),
  ];
  return {
    elements,
    update(chosen, isOfEvent) {
      legend.textContent = text(isOfEvent ? "edit.label" : "edit.brush");
      for (const each of [...events, ...phases]) each.setAttribute("aria-pressed", String(each.dataset.label === chosen));
    },
  };
}

const swatch = ({ colour }) => h("span", { class: "swatch", "aria-hidden": "true", style: { "--colour": colour } });

function timeFields(app, act) {
  const seconds = (key) => h("input", { type: "number", step: STEP_S, min: "0", onchange: (event) => changed(key, event.target) });
  const start = seconds("start_s"), end = seconds("end_s");
  const length = h("output", { class: "quiet" });
  const said = h("span", { class: "quiet" });
  const overlap = h("span", { class: "flag", role: "status" });
  const element = h("div", { class: "edit-times" }, field(text("edit.start"), start), field(text("edit.end"), end), length, overlap, said);
  const changed = (key, input) => {
    if (input.value !== "" && Number.isFinite(input.valueAsNumber)) act.times({ [key]: input.valueAsNumber });
  };
  return {
    element,
    update(event, other) {
      const words = event && other ? text("edit.overlaps", {
        label: app.label(other.label).text, start: number(other.start_s, 2), end: number(other.end_s, 2) }) : "";
      if (overlap.textContent !== words) overlap.textContent = words;
      overlap.hidden = !words;
      for (const [input, name] of [[start, "start_s"], [end, "end_s"]]) {
        input.disabled = !event || event.status === "offered";
        const value = event ? event[name].toFixed(3) : "";
        if (document.activeElement !== input && input.value !== value) input.value = value;
      }
      length.textContent = event ? text("edit.length", { length: number(event.end_s - event.start_s, 3) }) : text("edit.none_chosen");
      const model = event?.suggestion;
      said.textContent = model ? text("edit.said", {
        label: app.label(model.label).text, start: number(model.start_s, 2), end: number(model.end_s, 2),
        probability: model.probability == null ? "–" : number(model.probability, 2), model: model.model_name }) : "";
    },
  };
}

function recordOptions(app, select, state, known) {
  const suggested = state.record_suggested;
  const now = `${suggested} ${state.record}`;
  if (now === known) return known;
  const none = suggested ? text("edit.record_of_model", { label: app.label(suggested).text }) : text("edit.record_none");
  const names = app.labels.records.map(({ name }) => name);
  if (state.record && !names.includes(state.record)) names.push(state.record);
  replace(select, h("option", { value: "" }, none), names.map((name) => h("option", { value: name }, app.label(name).text)));
  return now;
}

function offer(place, state, isShown, act) {
  const count = state.offered.length;
  place.hidden = count === 0;
  const now = `${count} ${isShown}`;
  if (count === 0 || place.dataset.shown === now) return;
  place.dataset.shown = now;
  const [first] = state.offered;
  replace(place, h("p", { class: "notice row" },
    text("edit.offered", { count, model: first.suggestion.model_name }),
    button(text(isShown ? "edit.hide_offered" : "edit.show_offered"), act.offered, { "aria-pressed": String(isShown) }),
    button(text("edit.adopt"), act.adopt)));
}
