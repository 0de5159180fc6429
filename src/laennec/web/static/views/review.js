/** Which recordings to review next, and how well two readers agree. */

import { oneAtATime } from "../api.js";
import { toastError } from "../dialogs.js";
import { button, choice, field, h, replace } from "../dom.js";
import { orderChoice, reviewOrder } from "../edit/panel.js";
import { isUnreadable } from "../list/rows.js";
import { openViewer } from "../recording/shown.js";
import { sentence } from "../sentences.js";
import { chooseReader } from "../shell.js";
import { number, text } from "../text.js";
import { Life } from "../viewer/life.js";

const SHOWN = 30; // recordings that are listed
const AROUND_S = 0.3; // that is heard before and after a disagreement
const SEEN_S = 3; // that is seen before and after it: about a breath
const SCORES = ["kappa", "same_time", "f1", "agnostic_f1"];

/** Show the order of review and the agreement of readers. */
export default class ReviewView {
  #app;
  #life;
  #shown = new Life(); // of the viewer of a disagreement
  #viewer = null;
  #opened = null; // the recording that the viewer is of
  #wanted = null; // the disagreement to be shown
  #asked = ""; // readers and layer of the agreement that is shown
  #recordings = new Map(); // by id
  #readers = [];
  #pair = ["", ""];
  #layer = "events";

  constructor(main, params, app, life) {
    this.#app = app;
    this.#life = life;
    this.order = h("section", {});
    this.agreement = h("section", {});
    this.heard = h("section", { class: "heard", "aria-label": text("review.shown"), hidden: true });
    replace(main, h("div", { class: "review-view" }, h("h1", {}, text("review.title")), this.order, this.agreement));
    life.atEnd(() => this.#shown.end());
  }

  async open() {
    this.#life.on(this.#app.activity, "reload", () => this.#load().catch(toastError));
    await this.#load();
  }

  #load = oneAtATime(() => this.#ask());

  async #ask() {
    const { api } = this.#app;
    const { signal } = this.#life;
    const [{ recordings }, { readers }] = await Promise.all([api.get("recordings", { signal }), api.get("readers", { signal })]);
    this.#recordings = new Map(recordings.map((row) => [row.id, row]));
    this.#readers = readers;
    const names = readers.map(({ name }) => name);
    if (!this.#pair.every((name) => names.includes(name))) {
      const own = names.includes(this.#app.reader) ? this.#app.reader : names[0];
      this.#pair = [own, names.find((name) => name !== own)];
    }
    await Promise.all([this.#showOrder(), this.#showAgreement()]);
  }

  #showOrder = oneAtATime(() => this.#askOrder());
  #showAgreement = oneAtATime(() => this.#askAgreement());

  async #askOrder() {
    const { api, reader } = this.#app;
    const known = this.#readers.some(({ name }) => name === reader);
    const query = new URLSearchParams({ order: reviewOrder(), ...(known && { reader }) });
    const { recordings } = await api.get(`review?${query}`, { signal: this.#life.signal });
    const unreadable = [...this.#recordings.values()].filter(isUnreadable).length;
    const total = this.#recordings.size - unreadable;
    replace(this.order,
      h("h2", {}, text("review.next")),
      h("p", { class: "row" }, field(text("edit.order"), orderChoice(() => this.#showOrder().catch(toastError))),
        recordings.length > 0 && h("a", { class: "button primary", href: `#/recording/${recordings[0]}` }, text("review.begin"))),
      h("p", { class: "quiet" }, text(`review.order_${reviewOrder()}`)),
      reader ? h("p", {}, text("review.progress", { reader, done: total - recordings.length, total }))
        : h("p", { class: "row" }, text("edit.no_reader"), button(text("edit.begin"), () => chooseReader(this.#app).catch(toastError))),
      unreadable > 0 && h("p", { class: "quiet" }, text("review.unreadable", { count: unreadable })),
      h("ol", {}, recordings.slice(0, SHOWN).map((id) => h("li", {}, h("a", { href: `#/recording/${id}` }, this.#name(id))))),
      recordings.length > SHOWN && h("p", { class: "quiet" }, text("review.more", { count: recordings.length - SHOWN })));
  }

  #name(id) {
    return this.#recordings.get(id)?.name ?? String(id);
  }

  async #askAgreement() {
    const heading = h("h2", {}, text("review.agreement"));
    if (this.#readers.length < 2) {
      replace(this.agreement, heading, h("p", { class: "quiet" }, text("review.one_reader")));
      return;
    }
    const reader = (k) => choice(this.#readers.map(({ name }) => [name, name]), this.#pair[k], (name) => {
      this.#pair = this.#pair.map((kept, other) => (other === k ? name : kept === name ? this.#pair[k] : kept));
      this.#showAgreement().catch(toastError);
    });
    const layer = choice([["events", text("viewer.layer_events")], ["phases", text("viewer.layer_phases")]], this.#layer, (name) => {
      this.#layer = name;
      this.#showAgreement().catch(toastError);
    });
    const query = new URLSearchParams([...this.#pair.map((name) => ["readers", name]), ["layer", this.#layer]]);
    const asked = String(query);
    const found = await this.#app.api.get(`agreement?${query}`, { signal: this.#life.signal });
    if (asked !== this.#asked || !found.disagreements.some((each) => isSame(each, this.#wanted))) this.#close();
    this.#asked = asked;
    replace(this.agreement, heading,
      h("p", { class: "row" }, field(text("review.first"), reader(0)), field(text("review.second"), reader(1)), field(text("review.layer"), layer)),
      found.recordings === 0 ? h("p", { class: "quiet" }, text("review.none_common")) : this.#scores(found));
  }

  #scores(found) {
    const [first, second] = this.#pair;
    return [
      h("p", {}, text("review.common", { recordings: found.recordings, patients: found.patients })),
      h("dl", { class: "scores" }, SCORES.map((name) => h("div", {},
        h("dt", {}, text(`review.score_${name}`)), h("dd", {}, score(found[name]))))),
      h("p", { class: "quiet small" }, text("review.how"), " ", found.no_interval && text("review.no_interval", { why: sentence(found.no_interval) })),
      found.missing && h("p", { class: "notice warn" }, sentence(found.missing)),
      classes(this.#app, found.classes, first, second),
      this.#disagreements(found, first, second),
    ];
  }

  #disagreements(found, first, second) {
    if (found.disagreements.length === 0) return h("p", {}, text("review.no_disagreement"));
    const cell = (event) => (event ? [`${this.#app.label(event.label).text} `, h("span", { class: "quiet number" }, `${number(event.start_s, 2)}–${number(event.end_s, 2)}`)] : "–");
    const whole = ({ target }) => target.closest("button, a") || target.closest("tr")?.querySelector("button").click();
    const body = h("tbody", { onclick: whole }, found.disagreements.map((each) => h("tr", { "aria-current": this.#opened !== null && isSame(each, this.#wanted) && "true" },
      h("td", {}, button("▶", (event) => this.#choose(each, event.target.closest("tr")), { "aria-label": text("review.play", {
        name: this.#name(each.recording), start: number(each.start_s, 2), end: number(each.end_s, 2) }) })),
      h("th", { scope: "row" }, h("a", { href: `#/recording/${each.recording}?t=${each.start_s}&channel=${each.channel}` }, this.#name(each.recording))),
      h("td", { class: "number" }, number(each.start_s, 2)),
      h("td", {}, text(`review.kind_${each.kind}`, { first, second })),
      h("td", {}, cell(each.first)),
      h("td", {}, cell(each.second)))));
    return [
      h("h3", {}, text("review.disagreements", { count: found.disagreements.length + found.more })),
      this.heard,
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": text("review.list") }, h("table", { class: "disagreements" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, text("review.sound"))),
          [text("review.recording"), text("review.start"), text("review.what"), first, second].map((words) => h("th", { scope: "col" }, words)))), body)),
      found.more > 0 && h("p", { class: "quiet" }, text("review.more", { count: found.more })),
    ];
  }

  /** Show a disagreement in its recording, with the breaths around it, and play it again and again. */
  async #choose(disagreement, row) {
    for (const other of row.parentElement.children) other.setAttribute("aria-current", String(other === row));
    this.#wanted = disagreement;
    try {
      if (this.#opened !== disagreement.recording) await this.#open(disagreement.recording);
      else if (this.#viewer) this.#hear(this.#wanted);
    } catch (error) {
      this.#close();
      toastError(error);
    }
  }

  /** Open the viewer of a recording, with what both readers marked. */
  async #open(recording) {
    this.#close();
    const life = this.#shown = new Life();
    const { signal } = life;
    const { api } = this.#app;
    this.#opened = recording;
    this.heard.hidden = false;
    const place = h("div", {}, h("p", { class: "quiet", role: "status" }, text("recording.opening")));
    replace(this.heard, h("h4", {}, h("a", { href: `#/recording/${recording}` }, this.#name(recording))), place);
    const path = `recordings/${recording}`;
    const marked = this.#pair.map((reader) => api.get(`${path}/events?${new URLSearchParams({ reader })}`, { signal }));
    const [row, ...both] = await Promise.all([api.get(path, { signal }), ...marked]);
    const [first, second] = this.#pair;
    const viewer = await openViewer(this.#app, place, row, life, { compact: true, layers: { first, second } });
    if (!viewer) return;
    ["first", "second"].forEach((layer, k) => viewer.setEvents(marks(both[k].events, this.#layer, layer), { layer }));
    viewer.setBreathing(row.analysis?.breathing);
    this.#viewer = viewer;
    this.#hear(this.#wanted);
  }

  #hear({ channel, start_s, end_s, first, second }) {
    const viewer = this.#viewer;
    if (viewer.channel !== channel) viewer.chooseChannel(channel);
    viewer.time.set(start_s - SEEN_S, end_s + SEEN_S);
    const [layer, own] = first ? ["first", first] : ["second", second];
    viewer.select(viewer.events(layer).find((event) => event.label === own.label && Math.abs(event.start_s - own.start_s) < 1e-3)?.id ?? null);
    viewer.loop(Math.max(0, start_s - AROUND_S), end_s + AROUND_S);
  }

  #close() {
    this.#shown.end();
    this.#viewer = this.#opened = null;
    this.heard.hidden = true;
    replace(this.heard);
  }
}

/** Whether a disagreement is that one, also where the list of them came anew. */
function isSame(one, other) {
  return other !== null && JSON.stringify(one) === JSON.stringify(other);
}

/** What a reader marked, as a layer of a viewer: without what the model says of it. */
function marks(events, kind, layer) {
  return events.filter((event) => event.layer === kind).map(({ id, channel, start_s, end_s, label }) => (
    { id: `${layer}-${id}`, channel, start_s, end_s, label }));
}

function score({ value, interval }) {
  if (value === null) return text("review.undefined");
  const bounds = interval && text("review.interval", { low: number(interval[0], 2), high: number(interval[1], 2) });
  return [number(value, 2), " ", bounds && h("span", { class: "quiet small" }, bounds)];
}

function classes(app, found, first, second) {
  const rows = Object.entries(found);
  if (rows.length === 0) return null;
  const heads = [text("review.label"), first, second, text("review.both"), text("review.score_f1")];
  return h("div", { class: "wide" }, h("table", {},
    h("caption", { class: "hidden" }, text("review.by_label")),
    h("thead", {}, h("tr", {}, heads.map((words, k) => h("th", { scope: "col", class: k > 0 && "number" }, words)))),
    h("tbody", {}, rows.map(([label, counts]) => h("tr", {},
      h("th", { scope: "row" }, h("span", { class: "swatch", style: { "--colour": app.label(label).colour } }), " ", app.label(label).text),
      [counts.reference, counts.estimated, counts.correct].map((count) => h("td", { class: "number" }, number(count))),
      h("td", { class: "number" }, score({ value: counts.f1, interval: counts.intervals.f1 })))))));
}
