/** One recording: its answer, the viewer, the editor, its events. */

import { later, merged, oneAtATime } from "../api.js";
import { toastError } from "../dialogs.js";
import { h, replace } from "../dom.js";
import { attachEditor } from "../edit/editor.js";
import { isUnreadable } from "../list/rows.js";
import { createEventTable } from "../recording/events.js";
import { details, head } from "../recording/head.js";
import { openViewer, showAnalysis } from "../recording/shown.js";
import { text } from "../text.js";

/** Show the recording `params.id`. */
export default class RecordingView {
  #app;
  #id;
  #query;
  #row = null;
  #life;
  #viewer = null;
  #table = null;
  #editor = null; // its disposer
  #found = []; // events of an analysis that runs
  #opening = false;

  constructor(main, { id, query }, app, life) {
    this.#app = app;
    this.#life = life;
    this.#id = id;
    this.#query = query;
    this.head = h("section", { class: "recording-head" });
    this.place = h("section", { class: "recording-viewer", "aria-label": text("recording.viewer") });
    this.edit = h("section", { class: "recording-edit", "aria-label": text("recording.editor") });
    this.events = h("section", { class: "recording-events" });
    this.more = h("section", { class: "recording-more" });
    replace(main, this.head, this.place, this.edit, this.events, this.more);
  }

  async open() {
    const { activity } = this.#app;
    this.#life.on(activity, "recording", ({ detail }) => this.#news(detail));
    this.#life.on(activity, "found", ({ detail }) => this.#add(detail));
    this.#life.on(activity, "reload", () => this.#again().catch(toastError));
    await this.#again();
  }

  #ask = oneAtATime(async () => {
    this.#show(await this.#app.api.get(`recordings/${encodeURIComponent(this.#id)}`, { signal: this.#life.signal }));
  });

  async #again() {
    await this.#ask();
    await this.#open();
    await this.#attach();
    this.#showEvents();
  }

  #show(row) {
    this.#row = merged(this.#row, row);
    replace(this.head, head(this.#app, this.#row, { act: (kind) => this.#act(kind) }));
    replace(this.more, details(this.#row));
  }

  /** Open the viewer, once there is something to be opened. */
  async #open() {
    if (this.#viewer || this.#opening) return;
    if (isUnreadable(this.#row)) { // why is above
      replace(this.place);
      return;
    }
    this.#opening = true;
    replace(this.place, h("p", { class: "quiet", role: "status" }, text("recording.opening")));
    const relevance = (event) => this.#relevance(event);
    const viewer = await openViewer(this.#app, this.place, { id: this.#id }, this.#life, { relevance });
    this.#opening = false;
    if (!viewer) return;
    this.#viewer = viewer;
    this.#life.atEnd(() => { this.#viewer = null; });
    const told = { doubt: (event) => this.#doubt(event), timing: (event) => this.#timing(event) };
    this.#table = createEventTable(this.#app, viewer, told);
    replace(this.events, this.#table.element);
    this.#goTo(this.#query);
  }

  /** Where the model's evidence for an event lies: a corrected one has that of what the model said there. */
  #relevance(event) {
    return this.#row.analysis?.events[this.#found_at(event)]?.relevance;
  }

  /** Why the model is uncertain of an event. */
  #doubt(event) {
    return this.#row.doubts?.events[this.#found_at(event)];
  }

  /** When in a breath an event of the model's is heard; of one that a reader moved or named anew, it is not known. */
  #timing(event) {
    const own = this.#row.analysis?.events[this.#found_at(event)];
    const same = own && own.label === event.label && ["start_s", "end_s"].every((key) => Math.abs(own[key] - event[key]) < 1e-3);
    return same ? own.timing : undefined;
  }

  /** Which of the analysis' events one is, or was. */
  #found_at({ channel, start_s, suggestion }) {
    const from_s = suggestion?.start_s ?? start_s;
    return this.#row.analysis?.events.findIndex((each) => each.channel === channel && Math.abs(each.start_s - from_s) < 1e-3) ?? -1;
  }

  /** Bring the time of the address, `?t=…&channel=…`, into sight. */
  #goTo(query) {
    const t = Number.parseFloat(query?.get("t"));
    if (!Number.isFinite(t)) return;
    const channel = Number(query.get("channel"));
    if (channel > 0 && channel < this.#viewer.source.channels) this.#viewer.chooseChannel(channel);
    this.#viewer.time.show(t, t + 1);
    this.#viewer.seek(t);
  }

  #attach = oneAtATime(() => this.#attachEditor()); // else there might be two

  /** The editor comes with its own events: those of the model with what the reader made of them. */
  async #attachEditor() {
    const busy = ["running", "waiting"].includes(this.#row.state);
    if (this.#editor || busy || !this.#viewer) return;
    const options = { app: this.#app, recording: this.#id, name: this.#row.name, element: this.edit };
    const editor = await attachEditor(this.#viewer, options).catch(toastError);
    this.#editor = editor ?? null;
    if (editor) this.#life.atEnd(editor);
  }

  #showEvents() {
    const { analysis } = this.#row;
    if (!this.#viewer) return;
    if (this.#editor) { // its events stay, their timing may be another
      this.#viewer.setBreathing(analysis?.breathing);
      this.#table?.show();
    } else showAnalysis(this.#app, this.#viewer, analysis, analysis?.events ?? this.#found);
  }

  #news(row) {
    if (String(row.id) !== String(this.#id) || later(this.#row, row) !== row) return;
    if (!this.#row || (row.state === "done" && this.#row.state !== "done")) {
      this.#found = [];
      this.#again().catch(toastError);
      return;
    }
    if (row.state !== "done" && this.#row.state === "done") this.#row = { ...this.#row, analysis: null };
    this.#show(row);
  }

  #add({ id, events }) {
    if (String(id) !== String(this.#id)) return;
    this.#found = [...this.#found, ...events];
    this.#showEvents();
  }

  async #act(kind) {
    try {
      this.#show(await this.#app.api.post(`recordings/${encodeURIComponent(this.#id)}/${kind}`));
    } catch (error) {
      toastError(error);
    }
  }
}
