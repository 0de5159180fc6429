/**
 * A reader's corrections of a recording: shown at once, sent one after another, and what the server says
 * counts. Where it does not answer, they wait and are sent again.
 */

import { oneAtATime } from "../api.js";
import { applied, countMade, holding } from "./apply.js";

const RETRY_MS = [1000, 2000, 5000];
const UNSURE = [0, 502, 503, 504, 507]; // statuses after which the same may be tried again

let made = 0;

/** Emits `change` after every change, and `problem` {kind: "refused"|"other"|"gone", message}. */
export class Store extends EventTarget {
  #app;
  #path;
  #server = null; // State, as the server has said
  #queue = []; // {edit, request, made}; the first may be on its way
  #sending = false;
  #timer = 0;
  #failures = 0;
  #heard = 0; // newest revision that there is news of
  #isDue = false; // an answer was put aside, since a correction was on its way
  #end = new AbortController(); // of what is heard
  #sent = new AbortController(); // of the question whether to leave the page

  constructor(app, recording, reader) {
    super();
    this.#app = app;
    this.recording = String(recording);
    this.reader = reader;
    this.#path = `recordings/${encodeURIComponent(recording)}`;
    this.waits = ""; // why corrections wait, in a sentence of the server or the page
    const { signal } = this.#end;
    app.activity.addEventListener("edits", ({ detail }) => this.#hear(detail), { signal });
    app.activity.addEventListener("reload", () => this.#again(), { signal });
    app.activity.addEventListener("recording", ({ detail }) => {
      if (String(detail.id) === this.recording && detail.state === "done") this.#again();
    }, { signal });
    addEventListener("beforeunload", (event) => this.#queue.length > 0 && event.preventDefault(), { signal: this.#sent.signal });
  }

  /** What is to be shown: the server's state with the corrections that wait. */
  get state() {
    return holding(this.#queue).reduce((state, { edit, made }) => applied(state, edit, made), this.#server);
  }

  get waiting() {
    return this.#queue.length;
  }

  get canUndo() {
    return this.#server.can_undo || this.#queue.length > 0;
  }

  get canRedo() {
    return this.#server.can_redo || this.#queue.some(({ edit }) => edit.kind === "undo");
  }

  /** Ask the server how things stand. */
  load = oneAtATime(() => this.#ask());

  async #ask() {
    const query = new URLSearchParams({ reader: this.reader });
    const state = await this.#app.api.get(`${this.#path}/events?${query}`, { signal: this.#end.signal });
    if (state.revision < this.#server?.revision) return; // something newer is known
    this.#isDue = this.#sending; // what the correction makes of it is to come
    if (this.#isDue) return;
    this.#server = state;
    this.#tell();
  }

  /** Do something; returns the ids of the events that it makes, until the server gives them others. */
  do(edit) {
    const ids = Array.from({ length: countMade(edit) }, () => `new-${++made}`);
    this.#queue.push({ edit, request: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`.replace(/[^\w-]/g, ""), made: ids });
    this.#tell();
    this.#send();
    return ids;
  }

  async #send() {
    if (this.#sending || this.#queue.length === 0) return;
    clearTimeout(this.#timer);
    this.waits = "";
    this.#sending = true;
    const [entry] = this.#queue;
    const body = {
      reader: this.reader, revision: this.#server.revision, edits: [entry.edit], request: entry.request,
      ...(this.#server.analysis != null && { analysis: this.#server.analysis }),
    };
    try {
      const state = await this.#app.api.post(`${this.#path}/edits`, body);
      this.#taken(entry, state);
    } catch (error) {
      this.#failed(entry, error, body.revision);
    } finally {
      this.#sending = false;
    }
    if (!this.waits) this.#send();
    if (this.#queue.length === 0 && (this.#isDue || this.#heard > this.#server.revision)) this.#again();
    if (this.#end.signal.aborted && this.#queue.length === 0) this.#sent.abort();
  }

  #taken(entry, state) {
    this.#queue.shift();
    this.#failures = 0;
    const known = new Set(this.#server.events.map((event) => event.id));
    const fresh = state.events.map((event) => event.id).filter((id) => !known.has(id));
    this.#server = state;
    if (entry.made.length > 0) this.#rename(entry.made, fresh);
    this.#tell();
  }

  /** Events that the page has named get the server's names, in corrections that wait too. */
  #rename(from, to) {
    const names = new Map(from.map((id, k) => [id, to[k] ?? id]));
    for (const { edit } of this.#queue) {
      edit.events = edit.events?.map((id) => (typeof id === "string" ? names.get(id) ?? id : id));
    }
    this.dispatchEvent(new CustomEvent("renamed", { detail: names }));
  }

  #failed(entry, error, revision) {
    if (UNSURE.includes(error.status)) {
      this.waits = error.message;
      const wait_ms = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
      this.#timer = setTimeout(() => this.#send(), wait_ms);
      this.#tell();
      return;
    }
    if (error.status === 409 && error.body?.events) {
      this.#server = error.body;
      // On what another window made of it, times and labels mean the same; an undo would take back its edit.
      const again = error.body.revision !== revision && !["undo", "redo"].includes(entry.edit.kind);
      if (!again) this.#queue.shift();
      this.#problem(again ? "other" : "gone", error.message);
    } else {
      this.#queue.shift();
      this.#problem("refused", error.message);
    }
    this.#tell();
  }

  #problem(kind, message) {
    if (this.#end.signal.aborted) return;
    this.dispatchEvent(new CustomEvent("problem", { detail: { kind, message } }));
  }

  #hear({ id, reader, revision }) {
    if (String(id) !== this.recording || reader !== this.reader) return;
    this.#heard = Math.max(this.#heard, revision);
    if (!this.#sending && this.#heard > (this.#server?.revision ?? 0)) this.#again();
  }

  #again() {
    if (this.#end.signal.aborted) return;
    if (this.#queue.length > 0) this.#send();
    this.load().catch((error) => error.name !== "AbortError" && this.#problem("refused", error.message));
  }

  #tell() {
    if (!this.#end.signal.aborted) this.dispatchEvent(new Event("change"));
  }

  /** Hear of nothing any more; what waits is still sent. */
  close() {
    this.#end.abort();
    if (this.#queue.length === 0) this.#sent.abort();
  }
}
