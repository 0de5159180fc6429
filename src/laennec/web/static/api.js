/** The server, from the page: requests, uploads, news. An error is always one sentence to be shown. */

import { released, whenReleased } from "./pressed.js";
import { sentence } from "./sentences.js";
import { text } from "./text.js";

const BASE = "api/v1/";
const RETRY_MS = [500, 1000, 2000, 5000, 10000];
const IDLE_MS = 60_000; // hidden pages let their connection go, since a browser opens six to one server
const KINDS = ["recording", "found", "edits", "job", "reload"];

/** What went wrong, in a sentence; `status` is 0 where the server did not answer. */
export class ApiError extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** The address of something in the API, for `src` and `href`. */
export function address(path) {
  return BASE + path;
}

/**
 * Ask the server; returns what it answers, from JSON.
 *
 * @param {string} path below /api/v1/
 * @param {{method?: string, json?: any, body?: BodyInit, headers?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 * @throws {ApiError} or an AbortError
 */
export async function request(path, { method, json, body, headers, signal } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const kind = json === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(BASE + path, {
      method: method ?? (sent === undefined ? "GET" : "POST"),
      body: sent,
      headers: { Accept: "application/json", ...kind, ...headers },
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(text("api.unreachable"), 0);
  }
  const content = await response.text();
  await released(); // since it may be drawn
  return answered(response.status, content);
}

export const get = (path, options) => request(path, options);
export const post = (path, json = {}, options) => request(path, { ...options, method: "POST", json });
export const patch = (path, json, options) => request(path, { ...options, method: "PATCH", json });

function answered(status, content) {
  let body = null;
  try {
    body = content ? JSON.parse(content) : null;
  } catch {
    // Below: no answer of the API.
  }
  if (status >= 200 && status < 300) return body;
  throw new ApiError(sentence(body?.error) || text("api.failed", { status: String(status) }), status, body);
}

/**
 * Send a file. `fetch` tells nothing of an upload's progress, so this is an XMLHttpRequest.
 *
 * @param {string} path below /api/v1/
 * @param {Blob} file
 * @param {{progress?: (share: number) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export function upload(path, file, { progress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    const stop = () => sent.abort();
    signal?.addEventListener("abort", stop, { once: true });
    sent.open("POST", BASE + path);
    sent.setRequestHeader("Accept", "application/json");
    sent.setRequestHeader("Content-Type", "application/octet-stream");
    sent.upload.onprogress = (event) => event.lengthComputable && progress?.(event.loaded / event.total);
    sent.onload = () => {
      try {
        resolve(answered(sent.status, sent.responseText));
      } catch (error) {
        reject(error);
      }
    };
    sent.onerror = () => reject(new ApiError(text("api.unreachable"), 0));
    sent.onabort = () => reject(new DOMException("stopped", "AbortError"));
    sent.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) reject(new DOMException("stopped", "AbortError"));
    else sent.send(file);
  });
}

/**
 * Of two rows of a recording the later one, whichever came first: answers and news take different ways.
 *
 * @param {object|undefined|null} known
 * @param {object} row
 */
export function later(known, row) {
  return known && row.revision < known.revision ? known : row;
}

/**
 * The rows of a list by their numbers, with what has come of them since the list was made.
 *
 * @param {Iterable<object>} known rows
 * @param {{recordings: object[], revision: number}} list
 * @returns {Map<number, object>}
 */
export function upToDate(known, { recordings, revision }) {
  const newer = new Map([...known].filter((row) => row.revision > revision).map((row) => [row.id, row]));
  return new Map([...recordings.map((row) => [row.id, newer.get(row.id) ?? row]), ...newer]);
}

/** What is known of a recording once a row of it has come: with an analysis or without, late or not. */
export function merged(known, row) {
  const { analysis, doubts, sound } = row.analysis === undefined ? known ?? {} : row;
  return { ...later(known, row), analysis, doubts, sound };
}

/**
 * Have a question be asked once at a time, and once more where it is wanted meanwhile, so that what is shown
 * last is the answer to the last one.
 *
 * @param {() => Promise<void>} ask asks, and shows the answer
 * @returns {() => Promise<void>} resolves once an answer is shown that was asked for after the call
 */
export function oneAtATime(ask) {
  let running = null;
  let next = null;
  const run = () => {
    running = ask().finally(() => { running = null; });
    return running;
  };
  return () => {
    if (!running && !next) return run();
    next ??= running.catch(() => {}).then(() => { next = null; return run(); });
    return next;
  };
}

/**
 * News of the server: an EventTarget of CustomEvents `recording`, `found`, `edits`, `job` with `detail`;
 * `reload` where some may have been missed, so that what is shown must be asked for again: whenever the server
 * begins to tell, also for the first time, since a view may have been answered before. `connection` with
 * `{connected}`.
 */
export class Activity extends EventTarget {
  #source = null;
  #timer = 0;
  #failures = 0;
  #end = new AbortController();

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#seen(), { signal: this.#end.signal });
    addEventListener("online", () => this.#connect(), { signal: this.#end.signal });
    this.#connect();
  }

  close() {
    this.#end.abort();
    this.#disconnect();
  }

  #seen() {
    clearTimeout(this.#timer);
    if (document.hidden) this.#timer = setTimeout(() => this.#disconnect(), IDLE_MS);
    else if (!this.#source) this.#connect();
  }

  #disconnect() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #connect() {
    this.#disconnect();
    const source = new EventSource(`${BASE}activity`);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#tell("connection", { connected: true });
    };
    source.addEventListener("hello", () => this.#tell("reload", {}));
    source.onerror = () => {
      this.#tell("connection", { connected: false });
      this.#disconnect();
      const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
      this.#timer = setTimeout(() => this.#connect(), wait);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this.#tell(kind, JSON.parse(event.data)));
    }
  }

  #tell(kind, detail) {
    whenReleased(() => this.dispatchEvent(new CustomEvent(kind, { detail })));
  }
}
