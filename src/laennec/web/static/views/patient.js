/** A patient's chest, front and back: each position with its answer, to be listened to. */

import { later, oneAtATime, upToDate } from "../api.js";
import { answerSentence, answerShort, eventCounts, meaning, shortWord } from "../answer.js";
import { drawChest, pointOf } from "../chest/drawing.js";
import { createPlayer } from "../chest/player.js";
import { button, h, replace } from "../dom.js";
import { toastError } from "../dialogs.js";
import { placeName } from "../list/cells.js";
import { whenReleased } from "../pressed.js";
import { sentence } from "../sentences.js";
import { duration, number, text, textOr } from "../text.js";

/** Show a patient; `params.name` is the name in the list. */
export default class Patient {
  #app;
  #name;
  #known = new Map(); // every recording, by its number
  #rows = []; // those of the patient
  #place = null; // the position whose recordings are shown; "" for those of none
  #life;

  constructor(main, { name }, app, life) {
    this.#app = app;
    this.#life = life;
    this.#name = name;
    this.facts = h("p", { class: "quiet" });
    this.faces = { front: h("div", { class: "markers" }), back: h("div", { class: "markers" }) };
    this.panel = h("section", { class: "place-panel", "aria-live": "polite", "aria-label": text("patient.at_place") });
    this.elsewhere = h("section", { class: "elsewhere" });
    this.pairs = h("div", { class: "pairs row screen" });
    this.legend = h("ul", { class: "legend", "aria-label": text("patient.legend") });
    this.player = createPlayer(life, () => whenReleased(this.#played));
    replace(main, h("p", { class: "screen back" }, h("a", { href: "#/" }, text("app.to_list"))),
      h("h1", {}, text("patient.title", { patient: name })), this.facts,
      h("div", { class: "chest-view" },
        ["front", "back"].map((face) => h("figure", { class: "face" }, h("figcaption", {}, text(`patient.${face}`)),
          h("div", { class: "drawing" }, drawChest(face), this.faces[face]))),
        h("div", { class: "beside" }, this.panel, this.elsewhere)),
      this.pairs, this.legend);
    life.on(app.activity, "recording", ({ detail }) => this.#changed(detail));
    life.on(app.activity, "reload", () => this.#load().catch(toastError));
  }

  open() {
    return this.#load();
  }

  #load = oneAtATime(() => this.#ask());
  #played = () => this.#show();

  async #ask() {
    const list = await this.#app.api.get("recordings", { signal: this.#life.signal });
    this.#known = upToDate(this.#known.values(), list);
    this.#show();
  }

  #changed(row) {
    const before = this.#known.get(row.id);
    if (later(before, row) !== row) return;
    this.#known.set(row.id, row);
    if ([row.patient, before?.patient].includes(this.#name)) this.#show();
  }

  #show() {
    this.#rows = [...this.#known.values()].filter((row) => row.patient === this.#name).sort((one, other) => one.id - other.id);
    const known = new Map(this.#app.labels.positions.map((place) => [place.name, place]));
    const groups = Map.groupBy ? Map.groupBy(this.#rows, (row) => row.position ?? "") : grouped(this.#rows);
    this.facts.textContent = facts(this.#rows);
    for (const [face, layer] of Object.entries(this.faces)) {
      const here = [...groups].filter(([name]) => known.get(name)?.face === face);
      this.#keepFocus(layer, here.map(([name, rows]) => this.#marker(known.get(name), rows)));
    }
    const others = [...groups].filter(([name]) => !known.has(name));
    replace(this.elsewhere, others.length > 0 && [h("h2", {}, text("patient.elsewhere")),
      others.map(([name, rows]) => [h("h3", {}, name || text("patient.no_position")), this.#list(rows)])]);
    if (this.#place === null) replace(this.panel, h("p", { class: "quiet" }, text(this.#rows.length ? "patient.help" : "patient.nobody")));
    else replace(this.panel, h("h2", {}, placeName(this.#place)), this.#list(groups.get(this.#place) ?? []));
    replace(this.pairs, pairs(groups));
    const labels = [...new Set(this.#rows.map((row) => row.record?.label).filter(Boolean))];
    replace(this.legend, labels.map((label) => h("li", {},
      h("span", { class: "swatch", style: { "--colour": this.#app.label(label).colour } }), " ", meaning(this.#app, label))));
  }

  /** Have these markers, with the focus where it was. */
  #keepFocus(layer, markers) {
    const focused = layer.contains(document.activeElement) ? document.activeElement.dataset.place : null;
    replace(layer, markers);
    if (focused) layer.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus();
  }

  #marker(place, rows) {
    const row = telling(rows);
    const { colour } = this.#app.label(row.record?.label);
    const isAnswer = row.state === "done" && row.record?.label && !row.record.refused;
    const { left, top } = pointOf(place);
    const isPlaying = rows.some((each) => this.player.plays(each.id));
    const word = isAnswer ? shortWord(this.#app, row.record.label) : row.state === "done" ? text("answer.none_short") : text(`list.state.${row.state}`);
    const style = { left: `${left * 100}%`, top: `${top * 100}%`, "--colour": isAnswer ? colour : "transparent" };
    return h("button", { type: "button", class: `marker${isPlaying ? " playing" : ""}`, style, dataset: { place: place.name },
      "aria-pressed": String(this.#place === place.name), onclick: () => this.#choose(place.name, rows, row),
      "aria-label": `${placeName(place.name)}: ${rows.map((each) => answerSentence(this.#app, each)).join("; ")}` },
    h("span", { class: "dot" }),
    h("span", { class: "word" }, h("span", {}, word, rows.length > 1 ? ` +${rows.length - 1}` : ""),
      isAnswer && row.record.probability != null && h("span", { class: "sure" },
        number(row.record.probability, 2), row.record.uncertain ? " ?" : "")));
  }

  #choose(name, rows, row) {
    this.#place = name;
    const playing = rows.find((each) => this.player.plays(each.id));
    this.player.toggle((playing ?? row).id);
    this.#show();
  }

  #list(rows) {
    return h("ul", { class: "heard" }, rows.map((row) => h("li", {},
      h("div", { class: "row" },
        button(text(this.player.plays(row.id) ? "patient.pause" : "patient.play"), () => this.player.toggle(row.id), {
          "aria-label": `${text(this.player.plays(row.id) ? "patient.pause" : "patient.play")}: ${row.name}` }),
        h("a", { class: "button primary", href: `#/recording/${row.id}`, "aria-label": `${text("patient.open")}: ${row.name}` }, text("patient.open")),
        row.record && row.state === "done" ? answerShort(this.#app, row.record) : h("span", { class: "quiet" }, text(`list.state.${row.state}`))),
      h("p", { class: "small" }, h("span", {}, row.name), " ", h("span", { class: "quiet" }, duration(row.duration_s))),
      row.state === "failed" && h("p", { class: "small failure" }, sentence(row.error)),
      Object.keys(row.counts).length > 0 && h("p", { class: "small" }, eventCounts(this.#app, row.counts)),
      row.quality.length > 0 && h("p", { class: "small quiet" }, row.quality.map((found) => sentence(found.message)).join("; ")))));
  }
}

/** The recording that a position is coloured by: the one with the most to tell, the latest among equals. */
function telling(rows) {
  const rank = (row) => {
    if (row.state !== "done" || !row.record?.label || row.record.refused) return 0;
    return row.record.label === "Normal" ? 2 : row.record.label === "Poor Quality" ? 1 : 3;
  };
  return rows.reduce((best, row) => (rank(row) >= rank(best) ? row : best));
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.position ?? "", [...(groups.get(row.position ?? "") ?? []), row]);
  return groups;
}

function facts(rows) {
  const ages = [...new Set(rows.map((row) => row.age_years).filter((age) => age != null))].map((age) => text("patient.years", { age }));
  const sexes = [...new Set(rows.map((row) => row.sex).filter(Boolean))].map((sex) => textOr(`patient.${sex}`, sex));
  return [...ages, ...sexes, text("patient.recordings", { count: rows.length })].join(", ");
}

/** Links that compare left and right of the same height. */
function pairs(groups) {
  const found = [...groups.keys()].filter((name) => name.startsWith("left-") && groups.has(name.replace("left", "right")));
  return found.map((name) => h("a", { class: "button", href: `#/compare/${groups.get(name).at(-1).id}/${groups.get(name.replace("left", "right")).at(-1).id}` },
    text("patient.compare", { left: placeName(name), right: placeName(name.replace("left", "right")) })));
}
