/** Search and filters above the table. */

import { button, choice, h, replace } from "../dom.js";
import { language, text, textOr } from "../text.js";
import { meaning } from "../answer.js";
import { placeName } from "./cells.js";
import { answerOf, asked, askForAll, isFiltered, values } from "./rows.js";

const WAIT_MS = 120;

/** Returns {element, update(rows, shown)}; `changed` is called when something else is asked for. */
export function createFilters(app, changed) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, WAIT_MS);
  };
  const search = h("input", { type: "search", class: "search", value: asked.search, placeholder: text("list.search"),
    "aria-label": text("list.search"), oninput: () => { asked.search = search.value; soon(); } });
  const names = h("datalist", { id: "patients" });
  const patient = h("input", { type: "text", class: "patient-filter", list: "patients", value: asked.patient, autocomplete: "off",
    placeholder: text("list.all_patients"), "aria-label": text("list.column.patient"),
    oninput: () => { asked.patient = patient.value; soon(); } });
  const position = choice([], "", (value) => { asked.position = value; changed(); }, { "aria-label": text("list.column.position") });
  const answer = choice([], "", (value) => { asked.answer = value; changed(); }, { "aria-label": text("list.column.answer") });
  const toggle = (key) => {
    const made = button(text(`list.${key}`), () => {
      asked[key] = !asked[key];
      made.setAttribute("aria-pressed", String(asked[key]));
      changed();
    }, { "aria-pressed": String(asked[key]), title: text(`list.${key}_help`) });
    return made;
  };
  const toggles = [toggle("uncertain"), toggle("unreviewed")];
  const shownCount = h("span", { class: "quiet shown", role: "status" });
  const all = button(text("list.show_all"), () => {
    askForAll();
    search.value = patient.value = "";
    for (const made of toggles) made.setAttribute("aria-pressed", "false");
    changed();
    search.focus();
  }, { class: "plain" });
  const element = h("div", { class: "filters row screen", role: "search" }, search, patient, names, position, answer, toggles, shownCount, all);

  const update = (rows, shown) => {
    options(position, text("list.all_positions"), values(rows, (row) => row.position, language()), asked.position,
      (value) => (value === "?" ? text("list.unknown") : placeName(value)));
    options(answer, text("list.all_answers"), values(rows, answerOf, language()), asked.answer, (value) => answerName(app, value));
    replaceNames(names, values(rows, (row) => row.patient, language()));
    const count = isFiltered() ? text("list.shown", { shown, all: rows.length }) : "";
    if (shownCount.textContent !== count) shownCount.textContent = count;
    all.hidden = !isFiltered();
  };
  return { element, update, search };
}

function answerName(app, value) {
  if (value.startsWith("state:")) return text(`list.state.${value.slice(6)}`);
  return value === "refused" || value === "none" ? textOr(`answer.${value}_short`, value) : meaning(app, value);
}

function options(control, every, found, value, named) {
  const wanted = value && !found.includes(value) ? [value, ...found] : found;
  const key = JSON.stringify(wanted);
  if (control.dataset.key !== key) {
    control.dataset.key = key; // a list that is open stays so while nothing in it changes
    replace(control, h("option", { value: "" }, every), wanted.map((each) => h("option", { value: each }, named(each))));
  }
  control.value = value;
}

function replaceNames(names, found) {
  if (names.dataset.key === String(found.length)) return;
  names.dataset.key = String(found.length);
  replace(names, found.map((value) => h("option", { value }, value === "?" ? text("list.unknown") : value)));
}
