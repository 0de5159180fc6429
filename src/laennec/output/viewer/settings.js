/** How a spectrogram looks: a small panel, and what it was set to the last time. */

import { MAPS } from "./colours.js";
import { h } from "./dom.js";

const KEPT = "laennec.viewer";
export const DEFAULTS = { log: true, low_hz: 20, high_hz: 2000, window_ms: 32, colours: "magma", shown_db: 60, brightness_db: 0, evidence: true };
const BANDS_HZ = [[20, 2000], [20, 1000], [100, 2000], [20, 4000]];
const LOWEST_LOG_HZ = 10;

/** The settings of the last visit, or the defaults. */
export function rememberedLook() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    const same = Object.entries(kept).filter(([name, value]) => typeof value === typeof DEFAULTS[name]);
    return sensible({ ...DEFAULTS, ...Object.fromEntries(same) });
  } catch {
    return { ...DEFAULTS }; // nothing is kept, or nothing that can be read
  }
}

function remember(look) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(look));
  } catch {
    // A browser that keeps nothing works as well.
  }
}

/** What a spectrogram can be drawn with, of what was asked for. */
export function sensible(look, top_hz = 4000) {
  const high_hz = Math.max(100, Math.min(look.high_hz, top_hz));
  const low_hz = Math.max(look.log ? LOWEST_LOG_HZ : 0, Math.min(look.low_hz, high_hz / 2));
  const colours = MAPS.includes(look.colours) ? look.colours : DEFAULTS.colours;
  return { ...look, low_hz, high_hz, colours, shown_db: Math.max(20, Math.min(look.shown_db, 100)) };
}

/**
 * The panel and the button that opens it.
 *
 * @param {object} look what is set
 * @param {{text: Function, windows_ms: number[], changed: (look: object) => void}} options
 */
export function createSettings(look, { text, windows_ms, changed, signal }) {
  let now = { ...look };
  const panel = h("div", { class: "viewer-settings", hidden: true, role: "group", "aria-label": text("viewer.display") });
  const button = h("button", { type: "button", "aria-expanded": "false" }, text("viewer.display"));
  const set = (change) => {
    now = sensible({ ...now, ...change });
    remember(now);
    fill();
    changed(now);
  };
  const fields = {};
  const fill = () => {
    for (const control of Object.values(fields)) {
      if (control.type === "checkbox") control.checked = control.read(now);
      else control.value = control.read(now);
    }
  };
  const field = (name, control, read, write) => {
    fields[name] = Object.assign(control, { read });
    control.addEventListener(control.type === "range" ? "input" : "change", () => set(write(control.type === "checkbox" ? control.checked : control.value)), { signal });
    return h("label", {}, h("span", {}, text(`viewer.${name}`)), control);
  };
  const select = (options) => h("select", {}, options.map(([value, words]) => h("option", { value }, words)));
  const hertz = () => h("input", { type: "number", min: "0", max: "4000", step: "10", inputmode: "numeric" });
  const slider = (min, max) => h("input", { type: "range", min, max, step: "5" });
  const band = (low, high) => `${low} – ${high} Hz`;
  panel.append(...[
    field("scale", select([["log", text("viewer.log")], ["linear", text("viewer.linear")]]),
      ({ log }) => (log ? "log" : "linear"), (value) => ({ log: value === "log" })),
    field("band", select([...BANDS_HZ.map((b) => [b.join(), band(...b)]), ["", text("viewer.other_band")]]),
      ({ low_hz, high_hz }) => (BANDS_HZ.some((b) => b.join() === `${low_hz},${high_hz}`) ? `${low_hz},${high_hz}` : ""),
      (value) => (value ? { low_hz: Number(value.split(",")[0]), high_hz: Number(value.split(",")[1]) } : {})),
    field("low", hertz(), ({ low_hz }) => low_hz, (value) => ({ low_hz: Number(value) })),
    field("high", hertz(), ({ high_hz }) => high_hz, (value) => ({ high_hz: Number(value) })),
    windows_ms.length > 1 && field("window", select(windows_ms.map((ms) => [ms, `${ms} ms`])), ({ window_ms }) => window_ms, (value) => ({ window_ms: Number(value) })),
    field("colours", select(MAPS.map((name) => [name, text(`viewer.colours_${name}`)])), ({ colours }) => colours, (colours) => ({ colours })),
    field("range", slider(20, 100), ({ shown_db }) => shown_db, (value) => ({ shown_db: Number(value) })),
    field("brightness", slider(-30, 30), ({ brightness_db }) => -brightness_db, (value) => ({ brightness_db: -Number(value) })),
    field("evidence", h("input", { type: "checkbox" }), ({ evidence }) => evidence, (evidence) => ({ evidence })),
    h("button", { type: "button", onclick: () => set(DEFAULTS) }, text("viewer.defaults")),
    h("p", {}, text("viewer.window_help")),
  ].filter(Boolean));
  fill();
  button.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
  }, { signal });
  return { button, panel, set };
}
