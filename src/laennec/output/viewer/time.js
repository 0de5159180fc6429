/** The time axis that waveform, spectrogram and events share: which part of a recording is shown. */

import { fixed } from "./decimals.js";

const SHORTEST_S = 0.02; // that can be shown
const CLICK_PX = 4; // a pointer that moved no further has clicked
const WHEEL_ZOOM = 0.002; // per pixel of a wheel's turn, as an exponent of e

/** A part of a recording, and where its times lie on the screen. Emits `change`. */
export class TimeAxis extends EventTarget {
  constructor(duration_s) {
    super();
    this.duration_s = duration_s;
    this.start_s = 0;
    this.end_s = duration_s;
    this.width = 1; // pixels
  }

  get span_s() {
    return this.end_s - this.start_s;
  }

  /** Where a time lies, in pixels from the left. */
  x(t) {
    return ((t - this.start_s) / this.span_s) * this.width;
  }

  /** The time at a place. */
  t(x) {
    return this.start_s + (x / this.width) * this.span_s;
  }

  /** Show this part, moved and shortened so that it lies within the recording. */
  set(start_s, end_s) {
    const span = Math.min(this.duration_s, Math.max(Math.min(SHORTEST_S, this.duration_s), end_s - start_s));
    const start = Math.max(0, Math.min(start_s, this.duration_s - span));
    if (!Number.isFinite(start) || (start === this.start_s && start + span === this.end_s)) return;
    this.start_s = start;
    this.end_s = start + span;
    this.dispatchEvent(new Event("change"));
  }

  /** Show `factor` times less; what is at a time stays where it is. */
  zoom(factor, at_s = (this.start_s + this.end_s) / 2) {
    const span = Math.min(this.duration_s, Math.max(SHORTEST_S, this.span_s / factor));
    const share = (at_s - this.start_s) / this.span_s;
    this.set(at_s - share * span, at_s + (1 - share) * span);
  }

  /** Move by a share of what is shown. */
  scroll(share) {
    this.set(this.start_s + share * this.span_s, this.end_s + share * this.span_s);
  }

  /** Bring a part into sight, with room around it, if it is not in sight. */
  show(start_s, end_s = start_s, room = 0.1) {
    if (start_s >= this.start_s && end_s <= this.end_s) return;
    const span = Math.max(this.span_s, (end_s - start_s) * (1 + 2 * room));
    const start = end_s - start_s > span * (1 - 2 * room) ? (start_s + end_s - span) / 2 : start_s - room * span;
    this.set(start, start + span);
  }

  setDuration(duration_s) {
    this.duration_s = duration_s;
    this.dispatchEvent(new Event("change"));
  }
}

/** Steps of 1, 2 or 5 that leave room for a label: the times to be labelled, and how. */
export function ticks(axis, room_px = 70) {
  const least = (axis.span_s * room_px) / axis.width;
  let step = 10 ** Math.floor(Math.log10(least));
  if (least > 1) step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600].find((s) => s >= least) ?? 43200;
  else step *= [1, 2, 5, 10].find((k) => k * step >= least * 0.9999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let k = Math.ceil(axis.start_s / step - 1e-9); k * step <= axis.end_s + 1e-9; k += 1) {
    found.push({ t: k * step, label: clock(k * step, digits, axis.duration_s) });
  }
  return found;
}

/** A time as 3.25, 2:05 or 1:02:05, as long recordings need. */
export function clock(t, digits = 0, duration_s = t) {
  if (duration_s < 60) return fixed(t, digits);
  const whole = Math.floor(t + 10 ** -digits / 2);
  const rest = Math.max(0, t - whole);
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  const fraction = digits ? fixed(rest, digits).slice(1) : "";
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}${fraction}`;
}

/** Let the wheel move an axis. A vertical wheel alone scrolls the page; with Ctrl, as a pinch sends it, it zooms. */
export function attachWheel(element, axis, signal) {
  element.addEventListener("wheel", (event) => {
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? element.clientHeight : 1;
    const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) axis.zoom(Math.exp(-event.deltaY * unit * WHEEL_ZOOM), axis.t(place(element, event)));
    else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) axis.scroll((sideways * unit) / axis.width);
    else return;
    event.preventDefault();
  }, { signal, passive: false });
}

/**
 * Let drags and pinches move an axis. A drag that somebody else has taken (`preventDefault` of its
 * `pointerdown`) is his.
 *
 * @param {HTMLElement} element
 * @param {TimeAxis} axis
 * @param {{signal: AbortSignal, click: (t: number, event: PointerEvent) => void}} options
 */
export function attachDrag(element, axis, { signal, click }) {
  const down = new Map(); // pointers: where each is
  let moved = 0;
  element.addEventListener("pointerdown", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (down.size === 0) moved = 0;
    down.set(event.pointerId, place(element, event));
    element.setPointerCapture?.(event.pointerId);
  }, { signal });
  element.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = [...down.values()];
    down.set(event.pointerId, place(element, event));
    const now = [...down.values()];
    moved += Math.abs(now[0] - before[0]) + Math.abs((now[1] ?? 0) - (before[1] ?? 0));
    if (moved <= CLICK_PX) return;
    if (now.length === 1) axis.scroll((before[0] - now[0]) / axis.width);
    else pinch(axis, before, now);
  }, { signal });
  const up = (event) => {
    if (!down.delete(event.pointerId) || event.type !== "pointerup") return;
    if (down.size === 0 && moved <= CLICK_PX) click(axis.t(place(element, event)), event);
  };
  for (const kind of ["pointerup", "pointercancel"]) element.addEventListener(kind, up, { signal });
}

const place = (element, event) => event.clientX - element.getBoundingClientRect().left;

function pinch(axis, before, now) {
  const t = (axis.t(before[0]) + axis.t(before[1])) / 2;
  const factor = Math.max(8, Math.abs(now[1] - now[0])) / Math.max(8, Math.abs(before[1] - before[0]));
  axis.zoom(factor, t);
  axis.scroll(((before[0] + before[1]) / 2 - (now[0] + now[1]) / 2) / axis.width);
}
