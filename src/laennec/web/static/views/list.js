/** All recordings of the folder: add some, see how far they are, find, choose and describe them. */

import { later, oneAtATime, upToDate } from "../api.js";
import { toast, toastError } from "../dialogs.js";
import { button, h, replace } from "../dom.js";
import { createFilters } from "../list/filters.js";
import { selected } from "../list/rows.js";
import { createTable } from "../list/table.js";
import { dropped, uploads, uploadsList } from "../list/uploads.js";
import { whenReleased } from "../pressed.js";
import { language, percent, text } from "../text.js";
import { register } from "../viewer/keys.js";

const CHANGES_MS = 150; // news of many recordings are sorted in together

/** Show the list. */
export default class List {
  #app;
  #rows = new Map();
  #chosen = new Set();
  #found = new Map(); // id → events by label of an analysis that runs
  #life;
  #timer = 0;

  constructor(main, params, app, life) {
    this.#app = app;
    this.#life = life;
    this.filters = createFilters(app, () => this.#show());
    this.table = createTable(app, { changed: () => this.#show(), chosen: this.#chosen, life,
      save: (row, changes) => this.#save(row, changes), act: (kind, row) => this.#act(kind, [row]) });
    this.count = h("span", { class: "quiet" });
    this.sending = h("section", { class: "sending screen", "aria-label": text("list.uploads") });
    this.working = h("div", { class: "working row screen" });
    this.said = h("p", { class: "hidden", role: "status" });
    this.empty = h("div", { class: "empty" });
    this.bar = h("div", { class: "choice row screen", role: "region", "aria-label": text("list.chosen") });
    replace(main, this.#head(), this.sending, this.working, this.said, this.filters.element, this.table.element, this.empty, this.bar,
      h("div", { class: "drop", "aria-hidden": "true" }, h("p", {}, text("list.drop_here"))));
    for (const part of [this.filters.element, this.table.element, this.bar]) part.hidden = true; // until there are rows
    this.#listen();
  }

  open() {
    return this.#load();
  }

  #load = oneAtATime(() => this.#ask());
  #sending = () => this.#showUploads();
  #sorted = () => this.#show();

  async #ask() {
    const list = await this.#app.api.get("recordings", { signal: this.#life.signal });
    this.#rows = upToDate(this.#rows.values(), list);
    for (const id of this.#chosen) if (!this.#rows.has(id)) this.#chosen.delete(id);
    this.#show();
    this.#showUploads();
  }

  #head() {
    const files = h("input", { type: "file", multiple: true, hidden: true, "aria-label": text("list.add"), onchange: () => this.#send(files, false) });
    const folder = h("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, "aria-label": text("list.add_folder"),
      onchange: () => this.#send(folder, true) });
    return h("div", { class: "row head" }, h("h1", {}, text("app.recordings")), this.count, h("span", { class: "gap" }),
      h("span", { class: "row screen" }, files, folder,
        button(text("list.add"), () => files.click(), { class: "primary" }),
        button(text("list.add_folder"), () => folder.click())));
  }

  #listen() {
    const life = this.#life;
    const { activity } = this.#app;
    life.on(activity, "recording", ({ detail }) => this.#changed(detail));
    life.on(activity, "found", ({ detail }) => this.#count(detail));
    life.on(activity, "reload", () => this.#load().catch(toastError));
    life.on(uploads, "change", () => whenReleased(this.#sending));
    life.on(uploads, "sent", ({ detail }) => this.#sent(detail));
    life.on(window, "dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dragging");
    });
    life.on(window, "dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
    life.on(window, "drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      dropped(event.dataTransfer).then(({ files, isFolder }) => this.#add(files, isFolder), toastError);
    });
    life.atEnd(() => {
      clearTimeout(this.#timer);
      document.body.classList.remove("dragging");
    });
    life.atEnd(register([
      { keys: "/", text: text("list.key.search"), run: () => this.filters.search.focus() },
      { keys: ["ArrowDown", "ArrowUp"], text: text("list.key.row"), run: () => this.table.focus() },
      { keys: "Enter", text: text("list.key.enter"), when: () => !this.table.element.hidden, run: () => this.table.focus() },
      { keys: "Space", text: text("list.key.choose"), when: () => !this.table.element.hidden, run: () => this.table.focus() },
    ]));
  }

  #send(input, isFolder) {
    this.#add([...input.files], isFolder);
    input.value = ""; // the same files can be chosen again
  }

  #add(files, isFolder) {
    const { sent, left } = uploads.add(files, isFolder);
    if (!sent) toast(text("list.no_sounds"), "error");
    else if (left) toast(text("list.left_out", { count: left }));
  }

  #sent(row) {
    if (row.duplicate) toast(text("list.duplicate", { name: row.name }));
    if (!this.#rows.has(row.id)) this.#changed(row);
  }

  /** Show the events of a running analysis as they are found. */
  #count({ id, events }) {
    const row = this.#rows.get(id);
    if (row?.state !== "running") return;
    const counts = { ...this.#found.get(id) };
    for (const { label } of events) counts[label] = (counts[label] ?? 0) + 1;
    this.#found.set(id, counts);
    this.#changed(row);
  }

  #changed(news) {
    if (later(this.#rows.get(news.id), news) !== news) return;
    if (news.state !== "running") this.#found.delete(news.id);
    const counts = this.#found.get(news.id);
    const row = counts ? { ...news, counts } : news;
    this.#rows.set(row.id, row);
    this.table.update(row);
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      whenReleased(this.#sorted);
    }, CHANGES_MS);
  }

  #show() {
    const rows = [...this.#rows.values()];
    const shown = selected(rows, this.#app.reader, language());
    this.count.textContent = rows.length ? text("list.count", { count: rows.length }) : "";
    this.filters.element.hidden = this.table.element.hidden = rows.length === 0;
    this.filters.update(rows, shown.length);
    this.table.show(shown);
    if (!rows.length) replace(this.empty, teaching());
    else replace(this.empty, shown.length ? "" : h("p", { class: "quiet" }, text("list.nothing_found")));
    this.#showWork(rows);
    this.#showChoice();
  }

  #showWork(rows) {
    const waiting = rows.filter((row) => row.state === "waiting" || row.state === "running");
    if (!waiting.length) {
      if (this.working.firstChild) this.said.textContent = text("list.all_done");
      replace(this.working);
      return;
    }
    const done = rows.filter((row) => row.state === "done").length;
    const share = (done + waiting.reduce((sum, row) => sum + row.progress, 0)) / (done + waiting.length);
    if (!this.working.firstChild) {
      replace(this.working, h("progress", { max: "1", "aria-label": text("list.analysing") }), h("span"),
        button(text("list.stop_all"), () => this.#act("cancel", this.#pending()), { class: "plain small" }));
    }
    const [bar, words] = this.working.children;
    bar.value = share;
    words.textContent = text("list.analysed", { share: percent(share), count: waiting.length });
  }

  #pending() {
    return [...this.#rows.values()].filter((row) => row.state === "waiting" || row.state === "running");
  }

  #showUploads() {
    replace(this.sending, uploads.items.length ? uploadsList() : []);
    this.empty.hidden = this.#rows.size === 0 && uploads.busy; // it teaches what is just being done
  }

  #showChoice() {
    const chosen = [...this.#chosen].map((id) => this.#rows.get(id)).filter(Boolean);
    const ids = chosen.map(({ id }) => id).join();
    if (this.bar.dataset.ids === ids) return; // a button that has the focus keeps it
    this.bar.dataset.ids = ids;
    this.bar.hidden = chosen.length === 0;
    const [first, second] = chosen;
    const compare = button(text("list.compare"), () => this.#app.navigate(`#/compare/${first.id}/${second.id}`), {
      disabled: chosen.length !== 2, title: text("list.compare_help") });
    replace(this.bar, h("span", { role: "status" }, text("list.chosen_count", { count: chosen.length })), compare,
      button(text("list.do.analyze"), () => this.#act("analyze", chosen)),
      button(text("list.choose_none"), () => {
        this.#chosen.clear();
        this.table.redraw();
        this.#show();
      }, { class: "plain" }));
  }

  async #act(kind, rows) {
    try {
      for (const row of rows) this.#changed(await this.#app.api.post(`recordings/${row.id}/${kind}`));
    } catch (error) {
      toastError(error);
    }
  }

  async #save(row, changes) {
    this.#changed(await this.#app.api.patch(`recordings/${row.id}`, changes));
  }
}

function teaching() {
  const steps = ["add", "listen", "correct", "learn"];
  return h("div", { class: "teaching" },
    h("h2", {}, text("list.empty")),
    h("ol", {}, steps.map((step) => h("li", {}, h("strong", {}, text(`list.step.${step}`)), " ", text(`list.step_help.${step}`)))),
    h("p", { class: "quiet" }, text("list.private")),
    h("p", { class: "quiet" }, text("list.try"), " ", h("code", {}, "laennec simulate demo --layout demo")));
}
