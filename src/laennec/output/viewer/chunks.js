/** Parts of a pyramid, loaded as they are wanted and kept while there is room: tiles and pieces of waveform. */

const AT_ONCE = 6; // a browser opens six connections to one server
const AGAIN_MS = 3000; // after a failure

/**
 * A store of parts, each with a key.
 *
 * `load(part, signal)` promises what is kept of a part, `release(kept)` frees it, `loaded()` is called when
 * something new is there. Parts that are no longer wanted are not waited for.
 */
export class Chunks {
  #load;
  #release;
  #loaded;
  #most;
  #kept = new Map(); // key: what was kept, in order of use
  #under_way = new Map(); // key: AbortController
  #failed = new Map(); // key: when
  #wanted = [];
  #closed = false;

  constructor({ load, release = () => {}, loaded, most }) {
    this.#load = load;
    this.#release = release;
    this.#loaded = loaded;
    this.#most = most;
  }

  /** What is kept under a key, or undefined. */
  get(key) {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept;
  }

  has(key) {
    return this.#kept.has(key);
  }

  /** Want these parts, `{key, …}`, the most urgent first, and no others. */
  want(parts) {
    this.#wanted = parts.filter(({ key }) => !this.#kept.has(key));
    const keys = new Set(this.#wanted.map(({ key }) => key));
    for (const [key, control] of this.#under_way) if (!keys.has(key)) control.abort();
    this.#next();
  }

  /** Whether everything that is wanted is there. */
  get settled() {
    return this.#wanted.every(({ key }) => this.#kept.has(key)) && this.#under_way.size === 0;
  }

  clear() {
    for (const control of this.#under_way.values()) control.abort();
    for (const kept of this.#kept.values()) this.#release(kept);
    this.#kept.clear();
    this.#failed.clear();
    this.#wanted = [];
  }

  dispose() {
    this.#closed = true;
    this.clear();
  }

  #next() {
    const now = performance.now();
    for (const part of this.#wanted) {
      if (this.#closed || this.#under_way.size >= AT_ONCE) return;
      const waits = now - (this.#failed.get(part.key) ?? -Infinity) < AGAIN_MS;
      if (!waits && !this.#kept.has(part.key) && !this.#under_way.has(part.key)) this.#start(part);
    }
  }

  async #start(part) {
    const control = new AbortController();
    this.#under_way.set(part.key, control);
    try {
      const kept = await this.#load(part, control.signal);
      if (control.signal.aborted) this.#release(kept);
      else this.#keep(part.key, kept);
    } catch {
      if (!control.signal.aborted) this.#failed.set(part.key, performance.now());
    }
    if (this.#under_way.get(part.key) === control) this.#under_way.delete(part.key);
    if (!this.#closed) this.#next();
  }

  #keep(key, kept) {
    if (this.#kept.has(key)) this.#release(this.#kept.get(key));
    this.#kept.set(key, kept);
    for (const [oldest, value] of this.#kept) {
      if (this.#kept.size <= this.#most) break;
      this.#kept.delete(oldest);
      this.#release(value);
    }
    this.#loaded();
  }
}

/**
 * The parts of a level that a time axis shows, and those beside them; an axis may go on after the recording.
 *
 * @returns {{first: number, last: number, around: number[]}} `around`: indices to have ready, nearest first
 */
export function visible(axis, part_s, ahead, duration_s = axis.duration_s) {
  const count = Math.ceil(duration_s / part_s - 1e-9);
  const first = Math.max(0, Math.floor(axis.start_s / part_s));
  const last = Math.min(count - 1, Math.max(first, Math.ceil(axis.end_s / part_s - 1e-9) - 1));
  const around = [];
  for (let k = 1; k <= ahead; k += 1) {
    if (last + k < count) around.push(last + k);
    if (first - k >= 0 && first - k < count) around.push(first - k);
  }
  return { first, last, around };
}
