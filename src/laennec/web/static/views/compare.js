/** Two recordings one above the other: before and after, left and right. */

import { later, merged, oneAtATime } from "../api.js";
import { answerSentence, answerShort, inOrder, qualityShort } from "../answer.js";
import { button, field, h, replace } from "../dom.js";
import { toastError } from "../dialogs.js";
import { placeName } from "../list/cells.js";
import { isUnreadable } from "../list/rows.js";
import { openViewer, showAnalysis } from "../recording/shown.js";
import { sentence } from "../sentences.js";
import { duration, number, remember, remembered, text } from "../text.js";
import { ieShort } from "../viewer/breathing.js";
import { register } from "../viewer/keys.js";

const COMMON = "laennec.compare.common";

/** Compare `params.first` and `params.second`. */
export default class Compare {
  #app;
  #ids;
  #rows = [];
  #viewers = [];
  #life;
  #isCommon = remembered(COMMON) !== "no";
  #isFollowing = false; // a change that came from the other viewer

  constructor(main, { first, second }, app, life) {
    this.#app = app;
    this.#life = life;
    this.#ids = [first, second];
    const common = h("input", { type: "checkbox", checked: this.#isCommon, onchange: () => this.#link(common.checked) });
    this.table = h("section", { class: "wide", tabindex: "0", role: "region", "aria-label": text("compare.table") });
    this.heads = this.#ids.map(() => h("div", { class: "row" }));
    this.places = this.#ids.map(() => h("div", { class: "compared" }, h("p", { class: "quiet", role: "status" }, text("compare.loading"))));
    replace(main, h("p", { class: "screen back" }, h("a", { href: "#/" }, text("app.to_list"))),
      h("div", { class: "row" }, h("h1", {}, text("compare.title")), h("span", { class: "gap" }),
        field(text("compare.common"), common, { class: "option screen" }),
        button([text("compare.switch"), " ", h("kbd", { "aria-hidden": "true" }, "x")], () => this.#playOther(), { class: "screen", title: text("compare.switch_help") }),
        h("a", { class: "button screen", href: `#/compare/${encodeURIComponent(second)}/${encodeURIComponent(first)}` }, text("compare.swap"))),
      this.table,
      this.#ids.map((id, k) => h("section", { "aria-label": text(k ? "compare.second" : "compare.first") }, this.heads[k], this.places[k])));
    life.atEnd(register([{ keys: "x", text: text("compare.switch_help"), run: () => this.#playOther() }]));
    life.on(app.activity, "recording", ({ detail }) => this.#news(detail));
    life.on(app.activity, "reload", () => this.#load().catch(toastError));
  }

  async open() {
    await this.#load();
    this.#viewers = await Promise.all(this.#rows.map((row, k) => this.#open(row, k)));
    if (this.#life.ended) return;
    this.#showEvents();
    this.#tie();
    this.#link(this.#isCommon);
  }

  #load = oneAtATime(() => this.#ask());

  async #ask() {
    const { signal } = this.#life;
    const found = await Promise.all(this.#ids.map((id) => this.#app.api.get(`recordings/${encodeURIComponent(id)}`, { signal })));
    this.#rows = found.map((row, k) => merged(this.#rows[k], row));
    this.#show();
    this.#showEvents();
  }

  #news(row) {
    const k = this.#ids.indexOf(String(row.id));
    if (k < 0) return;
    const before = this.#rows[k];
    if (later(before, row) !== row) return;
    this.#rows[k] = merged(before, row);
    if (!before || (row.state === "done" && before.state !== "done")) this.#load().catch(toastError);
    else this.#show();
  }

  async #open(row, k) {
    if (isUnreadable(row)) {
      replace(this.places[k], h("p", { class: "notice error" }, sentence(row.error)));
      return null;
    }
    return openViewer(this.#app, this.places[k], row, this.#life, { compact: true });
  }

  #showEvents() {
    this.#viewers.forEach((viewer, k) => viewer && showAnalysis(this.#app, viewer, this.#rows[k].analysis));
  }

  /** What is shown and how, of one as of the other; one plays at a time. */
  #tie() {
    const [first, second] = this.#viewers;
    if (!first || !second) return;
    for (const [one, other] of [[first, second], [second, first]]) {
      this.#life.on(one.time, "change", () => this.#isCommon && this.#follow(() => other.time.set(one.time.start_s, one.time.end_s)));
      this.#life.on(one, "look", () => this.#follow(() => other.setLook(one.look)));
      this.#life.on(one, "played", ({ detail }) => detail.playing && other.pause());
    }
  }

  #follow(change) {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      change();
    } finally {
      this.#isFollowing = false;
    }
  }

  /** Have both the axis of the longer one, or each its own. */
  #link(isCommon) {
    this.#isCommon = isCommon;
    remember(COMMON, isCommon ? null : "no");
    const [first, second] = this.#viewers;
    if (!first || !second) return;
    const longest = Math.max(first.source.duration_s, second.source.duration_s);
    this.#follow(() => {
      for (const viewer of this.#viewers) {
        const { time, source } = viewer;
        time.setDuration(isCommon ? longest : source.duration_s);
        time.set(isCommon ? first.time.start_s : 0, isCommon ? Math.max(first.time.end_s, Math.min(longest, 30)) : source.duration_s);
      }
    });
  }

  /** Play the other one, on a common axis from the same time on. */
  #playOther() {
    const [first, second] = this.#viewers;
    if (!first || !second) return;
    const from = first.player.playing || !second.player.playing ? first : second;
    const to = from === first ? second : first;
    if (!from.player.playing) {
      from.play();
      return;
    }
    const { t } = from.player;
    from.pause();
    if (this.#isCommon && t < to.source.duration_s) to.seek(t);
    to.play();
  }

  #show() {
    this.#rows.forEach((row, k) => replace(this.heads[k],
      h("h2", {}, which(k), " ", h("a", { href: `#/recording/${row.id}` }, row.name)),
      h("span", { class: "quiet" }, [row.patient && text("patient.title", { patient: row.patient }), row.position && placeName(row.position), duration(row.duration_s)].filter(Boolean).join(", "))));
    replace(this.table, this.#facts());
  }

  #facts() {
    const names = inOrder(this.#app, [...new Set(this.#rows.flatMap((row) => Object.keys(row.counts)))]);
    const told = this.#rows.some((row) => row.analysis?.breathing);
    const head = (content) => h("th", { scope: "col" }, content);
    const line = (row, k) => h("tr", {}, h("th", { scope: "row" }, which(k), " ", row.name),
      h("td", {}, row.state === "done" ? answerShort(this.#app, row.record) : answerSentence(this.#app, row)),
      h("td", {}, qualityShort(row)), h("td", {}, rate(row)), told && h("td", {}, ieShort(row.analysis?.breathing) || "–"), names.map((label) => h("td", {}, count(row, label.name))));
    return h("table", { class: "facts" }, h("caption", { class: "hidden" }, text("compare.table")),
      h("thead", {}, h("tr", {}, head(text("list.column.name")), head(text("list.column.answer")), head(text("list.column.quality")), head(text("compare.rate")), told && head(text("compare.ie")),
        names.map((label) => head([h("span", { class: "swatch", style: { "--colour": label.colour } }), " ", label.text])))),
      h("tbody", {}, this.#rows.map(line)));
  }
}

const which = (k) => h("span", { class: "which" }, String(k + 1));

/** How many, and how many a minute, since recordings differ in length. */
function count(row, label) {
  const found = row.counts[label] ?? 0;
  if (!row.duration_s) return String(found);
  return [String(found), " ", h("span", { class: "quiet" }, text("compare.a_minute", { rate: number((60 * found) / row.duration_s, 0) }))];
}

function rate(row) {
  const found = row.analysis?.record?.rate;
  return found?.quality === "good" ? text("compare.breaths", { rate: number(found.per_min, 0) }) : "–";
}
