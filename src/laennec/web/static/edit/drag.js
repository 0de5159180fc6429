/**
 * Dragging in the viewer: borders and whole events in the lanes, and a new event on an empty lane, or on the
 * picture while drawing is on. One pointer is enough, so it works with a finger too.
 */

export const SHORTEST_S = 0.01; // that can be made by hand; the server's is shorter
const MOVED_PX = 4; // before that it is a click
const EDGE_PX = { mouse: 7, pen: 9, touch: 16 };
const SNAP_PX = 7;

/**
 * @param {object} viewer
 * @param {{draws: () => boolean, snaps: () => boolean, borders: () => number[],
 *   preview: (drag: {id: string|null, start_s: number, end_s: number, row?: string}|null) => void,
 *   done: (drag: {id: string|null, start_s: number, end_s: number}) => void}} options `id` is null for a
 *   new event
 */
export function attachDragging(viewer, options) {
  const { signal, lanes, canvasArea } = viewer;
  const drag = new Drag(viewer, options);
  lanes.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const button = event.target.closest("button.event");
    if (button) drag.begin(event, lanes, viewer.event(button.dataset.id), part(event, button));
    else drag.begin(event, lanes, null);
  }, { signal });
  canvasArea.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !(options.draws() || event.shiftKey)) return;
    event.preventDefault(); // else the viewer scrolls
    drag.begin(event, canvasArea, null);
  }, { signal });
  lanes.addEventListener("pointermove", (event) => {
    const button = !drag.active && event.target.closest("button.event");
    if (button) button.style.cursor = part(event, button) === "whole" ? "" : "ew-resize";
  }, { signal });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !drag.active) return;
    event.preventDefault();
    event.stopPropagation();
    drag.cancel();
  }, { signal, capture: true });
}

/** Which part of an event a pointer is on; the middle third is always the whole. */
function part(event, button) {
  const box = button.getBoundingClientRect();
  const edge = Math.min(EDGE_PX[event.pointerType] ?? EDGE_PX.mouse, box.width / 3);
  if (event.clientX < box.left + edge) return "start_s";
  return event.clientX > box.right - edge ? "end_s" : "whole";
}

class Drag {
  #viewer;
  #options;
  #pointer = null; // {id, x, t, event, part, moved, end: AbortController}

  constructor(viewer, options) {
    this.#viewer = viewer;
    this.#options = options;
  }

  get active() {
    return this.#pointer !== null;
  }

  begin(event, element, over, what = "new") {
    if (this.active) return;
    const end = new AbortController();
    this.#pointer = { id: event.pointerId, x: event.clientX, t: this.#time(event), over, what, moved: false, now: null, end };
    const signal = AbortSignal.any([end.signal, this.#viewer.signal]);
    const own = (run) => (each) => each.pointerId === this.#pointer?.id && run(each);
    // On the window, since a button may be made anew while it is dragged.
    addEventListener("pointermove", own((each) => this.#move(each)), { signal });
    addEventListener("pointerup", own((each) => this.#up(each, element)), { signal });
    addEventListener("pointercancel", own(() => this.cancel()), { signal });
  }

  #time(event) {
    const { time, canvasArea } = this.#viewer;
    return Math.min(time.duration_s, Math.max(0, time.t(event.clientX - canvasArea.getBoundingClientRect().left)));
  }

  #move(event) {
    const pointer = this.#pointer;
    pointer.moved ||= Math.abs(event.clientX - pointer.x) > MOVED_PX;
    if (!pointer.moved) return;
    event.preventDefault();
    pointer.now = this.#span(this.#time(event));
    this.#options.preview(pointer.now);
  }

  /** The event as it would be, were the pointer left here. */
  #span(t) {
    const { over, what, t: from } = this.#pointer;
    const { duration_s } = this.#viewer.time;
    if (!over) {
      const [start_s, end_s] = [this.#snapped(Math.min(from, t)), this.#snapped(Math.max(from, t))];
      return { id: null, start_s, end_s: Math.max(end_s, start_s + SHORTEST_S) };
    }
    const { id, start_s, end_s } = over;
    if (what === "start_s") return { id, start_s: Math.max(0, Math.min(this.#snapped(start_s + t - from), end_s - SHORTEST_S)), end_s };
    if (what === "end_s") return { id, start_s, end_s: Math.min(duration_s, Math.max(this.#snapped(end_s + t - from), start_s + SHORTEST_S)) };
    const by = Math.max(-start_s, Math.min(this.#snapped(start_s + t - from) - start_s, duration_s - end_s));
    return { id, start_s: start_s + by, end_s: end_s + by };
  }

  #snapped(t) {
    if (!this.#options.snaps()) return t;
    const reach_s = (SNAP_PX / this.#viewer.time.width) * this.#viewer.time.span_s;
    const near = this.#options.borders().filter((border) => Math.abs(border - t) <= reach_s);
    return near.sort((a, b) => Math.abs(a - t) - Math.abs(b - t))[0] ?? t;
  }

  #up(event, element) {
    const { moved, now } = this.#pointer;
    this.#finish();
    if (!moved || !now) return;
    // The click that follows is not meant.
    const swallow = (click) => { click.stopPropagation(); click.preventDefault(); };
    element.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => element.removeEventListener("click", swallow, { capture: true }), 0);
    this.#options.done(now);
  }

  cancel() {
    this.#finish();
  }

  #finish() {
    this.#pointer.end.abort();
    this.#pointer = null;
    this.#options.preview(null);
  }
}
