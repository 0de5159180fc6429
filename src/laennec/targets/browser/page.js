/** The page of an exported model: a file in, its answer, sound and events out. */

import { button, h, replace } from "../../output/viewer/dom.js";
import { createViewer } from "../../output/viewer/viewer.js";
import { sourceOf } from "./pyramid.js";

/**
 * Have the page work.
 *
 * @param {object} given {load: () => Promise<Model>, readSound, texts: {language: {key: words}}, labels: {name:
 *   {colour, short, adventitious}}}
 */
export function start({ load, readSound, texts, labels }) {
  const language = (navigator.languages ?? []).map((tag) => tag.slice(0, 2)).find((tag) => texts[tag]) ?? "en";
  const text = (key, values = {}) => (texts[language][key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  const named = (name) => texts[language][`label.${slug(name)}`] ?? name;
  const label = (name) => ({ ...labels[name], text: named(name) });
  const place = (name) => document.getElementById(name);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  let model = null;
  let shown = null; // what the last recording has left behind: viewer and source

  const say = (words, kind = "") => {
    place("status").className = kind;
    replace(place("status"), words);
  };
  const ready = load().then((loaded) => {
    model = loaded;
    place("file").disabled = false;
    document.body.dataset.ready = "true";
    say(text("browser.ready", { name: model.card.name, version: model.card.version }));
  }, (error) => say(text("browser.not_loaded", { why: error.message }), "error"));

  const open = async (file) => {
    await ready;
    if (!model || !file) return;
    shown?.viewer.dispose();
    shown?.source.close();
    shown = null;
    replace(place("result"));
    try {
      say(text("browser.analysing", { name: file.name, percent: 0 }));
      const { channels, rate, ...read } = await readSound(await file.arrayBuffer(), file.name);
      const progress = (share) => say(text("browser.analysing", { name: file.name, percent: Math.round(100 * share) }));
      const began = performance.now();
      const analysis = await model.analyze(channels, rate, { ...read, progress });
      const took_s = (performance.now() - began) / 1000;
      const source = sourceOf(channels, rate);
      const viewer = show(place("result"), { analysis, source, text, label, named });
      shown = { viewer, source };
      say(text("browser.done", { name: file.name, took: took_s.toFixed(1) }));
    } catch (error) {
      say(error.message, "error");
    }
  };
  listen(place("drop"), place("file"), open);
}

function slug(name) {
  return name.toLowerCase().replace(/[^a-z]+/g, "-");
}

function listen(drop, file, open) {
  file.addEventListener("change", () => open(file.files[0]));
  for (const kind of ["dragover", "dragenter"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", ({ relatedTarget }) => drop.classList.toggle("over", relatedTarget !== null));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    open(event.dataTransfer.files[0]);
  });
}

function show(place, { analysis, source, text, label, named }) {
  const view = h("div", { class: "view" });
  const several = analysis.recording.channels > 1;
  replace(place,
    answerBox(analysis, { text, named }),
    view,
    h("h2", {}, text("browser.events")),
    analysis.events.length ? eventTable(analysis.events, { text, named, several }) : h("p", {}, text("browser.no_events")),
    lists(analysis, text),
    h("p", { class: "actions" }, download(analysis, text)));
  const viewer = createViewer(view, source, { text, label });
  viewer.setEvents(analysis.events.map((event, k) => ({ ...event, id: String(k) })));
  const rows = [...place.querySelectorAll("tr[data-event]")];
  viewer.addEventListener("select", ({ detail }) => {
    for (const row of rows) row.classList.toggle("selected", row.dataset.event === detail.id);
  });
  for (const row of rows) row.querySelector("button").addEventListener("click", () => viewer.select(row.dataset.event));
  return viewer;
}

function answerBox({ record, recording }, { text, named }) {
  const facts = text("browser.facts", { seconds: recording.duration_s.toFixed(1), rate: recording.sample_rate });
  if (!record) return h("section", { class: "answer" }, h("p", {}, text("browser.no_answer")), h("p", { class: "quiet small" }, facts));
  const heard = record.heard_as ? text(`answer.heard.${record.heard_as}`) : record.refused;
  const verdict = record.label ? named(record.label) : text("answer.refused", { reason: heard });
  const sure = record.label && text("answer.probability", { probability: record.probability.toFixed(2) });
  const rate = record.rate?.quality === "good" && text("browser.rate", { rate: record.rate.per_min.toFixed(0) });
  return h("section", { class: "answer" },
    h("p", { class: "verdict" }, verdict, record.uncertain && h("span", { class: "uncertain" }, text("answer.uncertain"))),
    h("p", { class: "quiet" }, [sure, rate, facts].filter(Boolean).join(" · ")),
    h("ul", { class: "small", lang: "en" }, record.reasons.map((reason) => h("li", {}, reason))));
}

function eventTable(events, { text, named, several }) {
  const columns = ["from", "to", "sound", "probability"].map((name) => text(`browser.${name}`));
  const cell = (words, attributes) => h("td", attributes, words);
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": text("browser.events") }, h("table", {},
    h("thead", {}, h("tr", {}, several && h("th", { scope: "col" }, text("viewer.channel")),
      columns.map((words, k) => h("th", { scope: "col", class: k === 2 ? "" : "number" }, words)))),
    h("tbody", {}, events.map((event, k) => h("tr", { "data-event": k },
      several && cell(String(event.channel)),
      cell(event.start_s.toFixed(2), { class: "number" }),
      cell(event.end_s.toFixed(2), { class: "number" }),
      cell(button(named(event.label) + (event.uncertain ? ` (${text("answer.uncertain")})` : ""))),
      cell(event.probability.toFixed(2), { class: "number" }))))));
}

function lists({ recording, notes }, text) {
  const quality = recording.quality.map(({ message }) => message);
  const parts = { quality, repairs: recording.repairs, notes };
  return Object.entries(parts).filter(([, lines]) => lines.length).map(([name, lines]) => [
    h("h2", {}, text(`browser.${name}`)),
    h("ul", { lang: "en" }, lines.map((line) => h("li", {}, line))),
  ]);
}

function download(analysis, text) {
  return button(text("browser.download"), () => {
    const address = URL.createObjectURL(new Blob([`${JSON.stringify(analysis, null, 2)}\n`], { type: "application/json" }));
    const name = `${analysis.recording.name.replace(/\.\w+$/, "")}.json`;
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
}
