/** The editor of a recording: corrections by mouse, finger or keys, shown at once and kept by the server. */

import { toast, toastError } from "../dialogs.js";
import { button, h, replace } from "../dom.js";
import { chooseReader } from "../shell.js";
import { remember, remembered, text } from "../text.js";
import { register } from "../viewer/keys.js";
import { attachDragging, SHORTEST_S } from "./drag.js";
import { labelFiles } from "./files.js";
import { createOutlines } from "./outlines.js";
import { createPanel, reviewOrder } from "./panel.js";
import { Store } from "./store.js";

const BRUSH = "laennec.brush";
const NEW_S = 0.3; // length of an event that is made by a key
const FINE_S = 0.01, COARSE_S = 0.1;
const OVERLAP_S = 0.001; // that two events share before it is said
const DRAWING = "drawing"; // id of an event that is being drawn

/**
 * Have a viewer's events be corrected by the reader who is chosen; without one there is only a button that
 * asks who it is.
 *
 * @param {object} viewer
 * @param {{app: object, recording: number|string, name: string, element: HTMLElement}} options `element`
 *   gets the controls
 * @returns {Promise<null|(() => void)>} what ends it
 */
export async function attachEditor(viewer, { app, recording, name, element }) {
  if (!app.reader) {
    replace(element, h("div", { class: "edit" }, h("div", { class: "row" },
      h("span", {}, text("edit.no_reader")), button(text("edit.begin"), () => chooseReader(app).catch(toastError), { class: "primary" }))));
    return null;
  }
  const { readers } = await app.api.get("readers");
  // A name may have been chosen in another folder.
  if (readers.every(({ name: known }) => known !== app.reader)) await app.api.post("readers", { name: app.reader });
  const store = new Store(app, recording, app.reader);
  try {
    await store.load();
  } catch (error) {
    store.close();
    throw error;
  }
  const editor = new Editor(viewer, store, { app, name, element });
  return () => editor.close();
}

class Editor {
  #viewer; #store; #app; #name; #panel; #outlines;
  #preview = null;
  #drawing = false;
  #snaps = false;
  #shows_offered = false;
  #brush;
  #undo = [];

  constructor(viewer, store, { app, name, element }) {
    this.#viewer = viewer;
    this.#store = store;
    this.#app = app;
    this.#name = name;
    const kept = remembered(BRUSH);
    this.#brush = this.#labels.includes(kept) ? kept : this.#labels[1] ?? this.#labels[0];
    this.#panel = createPanel(app, this.#acts());
    this.#outlines = createOutlines(viewer);
    replace(element, this.#panel.element);
    viewer.element.classList.add("editing");
    attachDragging(viewer, {
      draws: () => this.#drawing,
      snaps: () => this.#snaps,
      borders: () => [viewer.player.t, ...viewer.events("events").flatMap((event) => (
        event.id === this.#preview?.id ? [] : [event.start_s, event.end_s]))],
      preview: (span) => this.#show(span),
      done: (span) => this.#dragged(span),
    });
    const { signal } = viewer;
    store.addEventListener("change", () => this.#show(this.#preview), { signal });
    store.addEventListener("renamed", ({ detail }) => this.#renamed(detail), { signal });
    store.addEventListener("problem", ({ detail }) => this.#problem(detail), { signal });
    viewer.addEventListener("select", () => this.#update(), { signal });
    this.#undo.push(register(this.#keys()));
    this.#show();
  }

  get #labels() {
    return this.#app.labels.events.map(({ name }) => name);
  }

  /** The chosen event as it stands. */
  get #event() {
    const id = this.#viewer.selected;
    const { events, offered } = this.#store.state;
    return id == null ? undefined : events.find((event) => event.id === id) ?? offered.find((event) => event.id === id);
  }

  /** The event after the chosen one that it could be merged with. */
  get #next() {
    const event = this.#event;
    if (!event) return undefined;
    const others = this.#store.state.events.filter((other) => other.layer === event.layer && other.channel === event.channel
      && other.id !== event.id && (other.start_s > event.start_s || (other.start_s === event.start_s && other.end_s >= event.end_s)));
    return others.sort((a, b) => a.start_s - b.start_s)[0];
  }

  /** The first other event that lies where the chosen one does. */
  get #overlap() {
    const event = this.#event;
    if (!event || event.status === "offered") return undefined;
    return this.#store.state.events.find((other) => other.id !== event.id && other.layer === event.layer && other.channel === event.channel
      && Math.min(other.end_s, event.end_s) - Math.max(other.start_s, event.start_s) > OVERLAP_S);
  }

  // --- shown ---

  #show(preview = null) {
    if (this.#viewer.signal.aborted) return;
    this.#preview = preview;
    const { events, rejected, offered } = this.#store.state;
    const all = [...events, ...(this.#shows_offered ? offered : [])].map((event) => this.#asShown(event));
    if (preview && preview.id === null) all.push(this.#asShown(this.#drawn(preview)));
    const chosen = this.#viewer.selected;
    for (const layer of ["events", "phases"]) {
      this.#viewer.setEvents(all.filter((event) => event.layer === layer), { layer });
    }
    // One that changes its layer is in neither for a moment.
    if (chosen !== this.#viewer.selected && this.#viewer.event(chosen)) this.#viewer.select(chosen);
    this.#outlines.show(all, rejected);
    this.#update();
  }

  #asShown(event) {
    const said = event.suggestion;
    const moved = this.#preview?.id === event.id ? this.#preview : {};
    const own = said && said.label === event.label;
    return { ...event, ...moved, probability: own ? said.probability : null, probabilities: own ? said.probabilities : {}, uncertain: event.status === "suggested" && Boolean(said?.uncertain) };
  }

  #drawn({ start_s, end_s }) {
    const layer = this.#app.labels.phases.some(({ name }) => name === this.#brush) ? "phases" : "events";
    return { id: DRAWING, layer, channel: this.#viewer.channel, start_s, end_s, label: this.#brush, status: "added", suggestion: null, others: [] };
  }

  #update() {
    const event = this.#event;
    this.#panel.update({
      state: this.#store.state,
      event: event && this.#asShown(event),
      brush: this.#brush,
      drawing: this.#drawing,
      canUndo: this.#store.canUndo,
      canRedo: this.#store.canRedo,
      waiting: this.#store.waiting,
      waits: this.#store.waits,
      next: this.#next,
      overlap: this.#overlap,
      shows_offered: this.#shows_offered,
    });
    this.#viewer.element.classList.toggle("drawing", this.#drawing);
  }

  #renamed(names) {
    const id = names.get(this.#viewer.selected);
    if (!id) return;
    const had_focus = document.activeElement?.dataset.id === this.#viewer.selected;
    queueMicrotask(() => {
      this.#viewer.select(id);
      if (had_focus) requestAnimationFrame(() => this.#viewer.lanesView.focus(id));
    });
  }

  #problem({ kind, message }) {
    if (kind === "other") toast(text("edit.other_window"));
    else toast(kind === "gone" ? text("edit.gone", { why: message }) : message, "error");
  }

  // --- done ---

  #dragged({ id, start_s, end_s }) {
    if (id === null) this.#add(start_s, end_s);
    else if (this.#store.state.offered.every((event) => event.id !== id)) {
      this.#store.do({ kind: "change", events: [id], start_s: rounded(start_s), end_s: rounded(end_s) });
    }
    if (id !== null) this.#viewer.select(id);
  }

  #add(start_s, end_s) {
    const { label, layer, channel } = this.#drawn({ start_s, end_s });
    const [id] = this.#store.do({ kind: "add", events: [{ channel, layer, label, start_s: rounded(start_s), end_s: rounded(end_s) }] });
    this.#viewer.select(id);
  }

  #move(start_by_s, end_by_s) {
    const event = this.#event;
    if (!event || event.status === "offered") return;
    const { duration_s } = this.#viewer.time;
    let start_s = event.start_s + start_by_s, end_s = event.end_s + end_by_s;
    if (start_by_s === end_by_s) {
      const by = Math.max(-event.start_s, Math.min(start_by_s, duration_s - event.end_s));
      [start_s, end_s] = [event.start_s + by, event.end_s + by];
    } else {
      start_s = Math.max(0, start_by_s ? Math.min(start_s, end_s - SHORTEST_S) : start_s);
      end_s = Math.min(duration_s, end_by_s ? Math.max(end_s, start_s + SHORTEST_S) : end_s);
    }
    this.#times({ start_s, end_s });
  }

  #times(times) {
    const event = this.#event;
    if (!event) return;
    const { duration_s } = this.#viewer.time;
    const start_s = rounded(Math.max(0, times.start_s ?? event.start_s)), end_s = rounded(Math.min(duration_s, times.end_s ?? event.end_s));
    if (end_s - start_s < SHORTEST_S - 1e-6) {
      toast(text("edit.too_short", { ms: SHORTEST_S * 1000 }));
      this.#update();
    } else if (start_s !== event.start_s || end_s !== event.end_s) {
      this.#store.do({ kind: "change", events: [event.id], start_s, end_s });
    }
  }

  /** Go to the next event that nobody has decided about, or else to the next one. */
  #advance(from) {
    const after = this.#viewer.events(from.layer).filter((event) => event.id !== from.id);
    const open = after.filter((event) => event.status === "suggested");
    const later = (events) => events.find((event) => event.start_s >= from.start_s);
    const next = later(open) ?? open[0] ?? later(after);
    const had_focus = this.#viewer.lanes.contains(document.activeElement) || document.activeElement === document.body;
    this.#viewer.select(next?.id ?? null);
    if (next && had_focus) requestAnimationFrame(() => this.#viewer.lanesView.focus(next.id));
    if (open.length === 0) this.#viewer.say(text("edit.all_decided"));
  }

  #decide(kind) {
    const event = this.#event;
    if (!event || (kind === "delete" && event.status === "offered")) return;
    const isDecided = kind === "accept" && !["suggested", "offered"].includes(event.status);
    if (!isDecided) this.#store.do({ kind, events: [event.id] });
    this.#advance(event);
  }

  #split() {
    const event = this.#event;
    const at_s = rounded(this.#viewer.player.t);
    if (!event || event.status === "offered") return;
    if (at_s < event.start_s + SHORTEST_S || at_s > event.end_s - SHORTEST_S) toast(text("edit.split_where"));
    else this.#store.do({ kind: "split", events: [event.id], at_s });
  }

  #merge() {
    const [event, next] = [this.#event, this.#next];
    if (event && next && event.status !== "offered") this.#store.do({ kind: "merge", events: [event.id, next.id] });
  }

  #label(name) {
    const event = this.#event;
    this.#brush = name;
    remember(BRUSH, name);
    if (event && event.status !== "offered" && event.label !== name) this.#store.do({ kind: "change", events: [event.id], label: name, layer: this.#drawn(event).layer });
    this.#update();
  }

  #acts() {
    return {
      undo: () => this.#store.canUndo && this.#store.do({ kind: "undo" }),
      redo: () => this.#store.canRedo && this.#store.do({ kind: "redo" }),
      accept: () => this.#decide("accept"),
      reject: () => this.#decide("delete"),
      remove: () => this.#decide("delete"),
      split: () => this.#split(),
      merge: () => this.#merge(),
      label: (name) => this.#label(name),
      times: (times) => this.#times(times),
      draw: () => { this.#drawing = !this.#drawing; this.#update(); },
      snap: (on) => { this.#snaps = on; },
      record: (label) => this.#store.do({ kind: "record", label }),
      review: () => this.#store.do({ kind: "review", reviewed: !this.#store.state.reviewed }),
      next: () => this.#nextRecording().catch(toastError),
      adopt: () => this.#adopt(),
      offered: () => { this.#shows_offered = !this.#shows_offered; this.#show(); },
      files: () => labelFiles(this.#app, {
        recording: this.#store.recording, reader: this.#store.reader, name: this.#name,
        channels: this.#viewer.source.channels, changed: () => this.#store.load().catch(toastError),
      }).catch(toastError),
    };
  }

  #adopt() {
    const [first] = this.#store.state.offered;
    if (first) this.#store.do({ kind: "adopt", analysis: first.suggestion.analysis });
    this.#shows_offered = false;
  }

  async #nextRecording() {
    const query = new URLSearchParams({ reader: this.#store.reader, order: reviewOrder() });
    const { recordings } = await this.#app.api.get(`review?${query}`);
    const at = recordings.indexOf(Number(this.#store.recording));
    const next = recordings[at + 1] ?? recordings[0];
    if (next === undefined || String(next) === this.#store.recording) toast(text("edit.no_next"));
    else this.#app.navigate(`#/recording/${next}`);
  }

  #keys() {
    const act = this.#acts();
    const when = () => this.#viewer.isCurrent;
    const chosen = () => when() && Boolean(this.#event);
    const border = (start, end) => () => this.#move(start, end);
    const always = [
      ["Ctrl+z", text("edit.undo"), act.undo],
      [["Ctrl+Shift+z", "Ctrl+y"], text("edit.redo"), act.redo],
      ["d", text("edit.draw"), act.draw],
      ["n", text("edit.new"), () => this.#add(...this.#fresh())],
      ["v", text("edit.review"), act.review],
      ["g", text("edit.next"), act.next],
      ...this.#labels.slice(0, 9).map((name, k) => [String(k + 1), this.#app.label(name).text, () => act.label(name)]),
      ...this.#app.labels.phases.map(({ name }) => [name[0], this.#app.label(name).text, () => act.label(name)]),
    ];
    const own = [
      ["a", text("edit.accept_go"), act.accept],
      ["r", text("edit.reject_go"), act.reject],
      [["Delete", "Backspace"], text("edit.delete"), act.remove],
      ["s", text("edit.split_at"), act.split],
      ["m", text("edit.merge_next"), act.merge],
      [["q", "w"], text("edit.move_start"), (event) => border(event.key.toLowerCase() === "q" ? -FINE_S : FINE_S, 0)()],
      [["Shift+q", "Shift+w"], text("edit.move_start_far"), (event) => border(event.key.toLowerCase() === "q" ? -COARSE_S : COARSE_S, 0)()],
      [["o", "p"], text("edit.move_end"), (event) => border(0, event.key.toLowerCase() === "o" ? -FINE_S : FINE_S)()],
      [["Shift+o", "Shift+p"], text("edit.move_end_far"), (event) => border(0, event.key.toLowerCase() === "o" ? -COARSE_S : COARSE_S)()],
      [["Ctrl+ArrowLeft", "Ctrl+ArrowRight"], text("edit.move_whole"), (event) => {
        const by = event.key === "ArrowLeft" ? -FINE_S : FINE_S;
        border(by, by)();
      }],
      [["Ctrl+Shift+ArrowLeft", "Ctrl+Shift+ArrowRight"], text("edit.move_whole_far"), (event) => {
        const by = event.key === "ArrowLeft" ? -COARSE_S : COARSE_S;
        border(by, by)();
      }],
    ];
    const entry = (scope) => ([keys, words, run]) => ({ keys, text: words, run, when: scope });
    return [...always.map(entry(when)), ...own.map(entry(chosen))];
  }

  /** Where a new event goes that is made by a key: at the cursor, within the recording. */
  #fresh() {
    const { duration_s } = this.#viewer.time;
    const start_s = Math.max(0, Math.min(this.#viewer.player.t, duration_s - Math.min(NEW_S, duration_s)));
    return [start_s, Math.min(duration_s, start_s + NEW_S)];
  }

  close() {
    this.#store.close();
    for (const undo of this.#undo) undo();
    this.#outlines.dispose();
    this.#viewer.element.classList.remove("editing", "drawing");
  }
}

const rounded = (time_s) => Math.round(time_s * 1e4) / 1e4;
