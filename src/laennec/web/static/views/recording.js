/** One recording: its answer, the viewer, the editor, its events. */

import { later, merged, oneAtATime } from "../api.js";
import { toastError } from "../dialogs.js";
import { h, replace } from "../dom.js";
import { attachEditor } from "../edit/editor.js";
import { isUnreadable } from "../list/rows.js";
import { createEventTable } from "../recording/events.js";
import { details, head } from "../recording/head.js";
import { sentence } from "../sentences.js";
import { text } from "../text.js";
import { serverSource } from "../viewer/source.js";
import { createViewer } from "../viewer/viewer.js";

/** Show the recording `params.id`. */
export default class RecordingView {
  #app;
  #id;
  #query;
  #row = null;
  #end = new AbortController();
  #viewer = null;
  #table = null;
  #editor = null; // its disposer
  #found = []; // events of an analysis that runs
  #opening = false;

  constructor(main, { id, query }, app) {
    this.#app = app;
    this.#id = id;
    this.#query = query;
    this.head = h("section", { class: "recording-head" });
    this.place = h("section", { class: "recording-viewer", "aria-label": text("recording.viewer") });
    this.edit = h("section", { class: "recording-edit", "aria-label": text("recording.editor") });
    this.events = h("section", { class: "recording-events" });
    this.more = h("section", { class: "recording-more" });
    replace(main, this.head, this.place, this.edit, this.events, this.more);
  }

  get #signal() {
    return this.#end.signal;
  }

  async open() {
    const { activity } = this.#app;
    const signal = this.#signal;
    activity.addEventListener("recording", ({ detail }) => this.#news(detail), { signal });
    activity.addEventListener("found", ({ detail }) => this.#add(detail), { signal });
    activity.addEventListener("reload", () => this.#again().catch(toastError), { signal });
    await this.#again();
  }

  #ask = oneAtATime(async () => {
    this.#show(await this.#app.api.get(`recordings/${encodeURIComponent(this.#id)}`, { signal: this.#signal }));
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
    try {
      const source = await serverSource(this.#id, { signal: this.#signal });
      if (this.#signal.aborted) return;
      this.#viewer = createViewer(this.place, source, {
        text, label: (name) => this.#app.label(name), relevance: (event) => this.#relevance(event), sentence });
      const told = { doubt: (event) => this.#doubt(event), timing: (event) => this.#timing(event) };
      this.#table = createEventTable(this.#app, this.#viewer, told);
      replace(this.events, this.#table.element);
      this.#goTo(this.#query);
    } catch (error) {
      if (this.#signal.aborted) return;
      replace(this.place, h("p", { class: "notice error" }, sentence(error.message)));
    } finally {
      this.#opening = false;
    }
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
    if (this.#signal.aborted) editor?.();
    else this.#editor = editor ?? null;
  }

  #showEvents() {
    this.#viewer?.setBreathing(this.#row.analysis?.breathing);
    if (this.#editor) this.#table?.show(); // its events stay, their timing may be another
    if (!this.#viewer || this.#editor) return;
    const found = this.#row.analysis?.events ?? this.#found;
    const phases = new Set(this.#app.labels.phases.map((phase) => phase.name));
    const events = found.map((event, k) => ({ ...event, id: `a${k}`, channel: event.channel ?? 0 }));
    this.#viewer.setEvents(events.filter(({ label }) => !phases.has(label)));
    this.#viewer.setEvents(events.filter(({ label }) => phases.has(label)), { layer: "phases" });
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

  close() {
    this.#end.abort();
    this.#editor?.();
    this.#table?.dispose();
    this.#viewer?.dispose();
    this.#viewer = null;
  }
}
