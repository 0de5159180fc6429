/** The whole recording in one strip, with what is shown of it: to scroll by, also with the keyboard. */

import { h } from "./dom.js";
import { clock, TimeAxis } from "./time.js";
import { createWaveform } from "./waveform.js";

const STEP = 0.5; // of what is shown

/**
 * @param {object} source of the viewer
 * @param {TimeAxis} time
 * @param {{text: Function, changed: () => void, signal: AbortSignal}} options
 */
export function createOverview(source, time, { text, changed, signal, controls }) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const handle = h("div", { class: "viewer-handle" });
  const cursor = h("div", { class: "viewer-cursor" });
  const element = h("div", { class: "viewer-overview", role: "scrollbar", tabindex: "0", "aria-controls": controls,
    "aria-orientation": "horizontal", "aria-label": text("viewer.overview"), "aria-valuemin": "0" }, canvas, handle, cursor);
  const whole = new TimeAxis(source.duration_s);
  const waveform = createWaveform(canvas, source, { changed: () => { stale = true; changed(); } });
  let stale = true;
  let drawn = "";

  const go = (event) => {
    const rect = element.getBoundingClientRect();
    const t = ((event.clientX - rect.left) / rect.width) * whole.duration_s;
    time.set(t - time.span_s / 2, t + time.span_s / 2);
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture?.(event.pointerId);
    go(event);
  }, { signal });
  element.addEventListener("pointermove", (event) => event.buttons & 1 && go(event), { signal });
  element.addEventListener("keydown", (event) => {
    const run = { ArrowLeft: () => time.scroll(-STEP), ArrowRight: () => time.scroll(STEP), PageUp: () => time.scroll(-1),
      PageDown: () => time.scroll(1), Home: () => time.set(0, time.span_s),
      End: () => time.set(time.duration_s - time.span_s, time.duration_s) }[event.key];
    if (!run || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    run();
  }, { signal });

  return {
    element,
    canvas,
    choose(channel) {
      waveform.choose(channel);
      stale = true;
    },
    draw(colours, spans, scale, t) {
      whole.width = canvas.width / scale;
      if (whole.duration_s !== time.duration_s) whole.duration_s = whole.end_s = time.duration_s;
      const look = `${canvas.width}/${canvas.height}/${colours.ink}/${spans.length}/${whole.duration_s}`;
      if (stale || look !== drawn) waveform.draw(whole, { ink: colours.ink, spans }, scale);
      stale = false;
      drawn = look;
      handle.style.left = `${(100 * time.start_s) / whole.duration_s}%`;
      handle.style.width = `${(100 * time.span_s) / whole.duration_s}%`;
      cursor.style.transform = `translateX(${whole.x(t).toFixed(1)}px)`;
      element.setAttribute("aria-valuemax", whole.duration_s.toFixed(1));
      element.setAttribute("aria-valuenow", time.start_s.toFixed(2));
      element.setAttribute("aria-valuetext", text("viewer.from_to", {
        start: clock(time.start_s, 1, whole.duration_s), end: clock(time.end_s, 1, whole.duration_s) }));
    },
    dispose: () => waveform.dispose(),
  };
}
