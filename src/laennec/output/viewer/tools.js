/** The tools above a viewer, and its keys. */

import { h } from "./dom.js";
import { register } from "./keys.js";
import { BANDS, GAINS } from "./player.js";
import { clock } from "./time.js";

const STEP_S = 1, FINE_STEP_S = 0.1;
const ZOOM = 2;

/** The bar of tools; `update()` shows the state of the viewer. */
export function createTools(viewer, { showKeys }) {
  const { text, player, time, source } = viewer;
  const button = (words, onclick, attributes) => h("button", { type: "button", onclick, ...attributes }, words);
  const sign = (glyph, key, onclick) => button(glyph, onclick, { "aria-label": text(key), title: text(key), class: "sign" });
  const play = button(text("viewer.play"), () => toggle(viewer), { class: "primary play" });
  const slow = button(text("viewer.half_speed"), () => { player.slow = !player.slow; }, { "aria-pressed": "false" });
  const loop = button(text("viewer.loop"), () => toggleLoop(viewer), { "aria-pressed": "false" });
  const time_shown = h("span", { class: "viewer-clock" });
  const select = (key, options, onchange) => h("label", {}, h("span", {}, text(key)),
    h("select", { onchange: (event) => onchange(event.target.value) }, options.map(([value, words]) => h("option", { value }, words))));
  const band = select("viewer.filter", BANDS.map((name) => [name, text(`viewer.filter_${name}`)]), (value) => player.setEffects({ band: value }));
  const gain = select("viewer.gain", GAINS.map((db) => [db, `${db ? "+" : ""}${db} dB`]), (value) => player.setEffects({ gain_db: Number(value) }));
  const channels = Array.from({ length: source.channels }, (_, k) => [k, String(k)]);
  const channel = source.channels > 1 && select("viewer.channel", channels, (value) => viewer.chooseChannel(Number(value)));
  const out = sign("−", "viewer.zoom_out", () => time.zoom(1 / ZOOM, middle(viewer)));
  const into = sign("+", "viewer.zoom_in", () => time.zoom(ZOOM, middle(viewer)));
  const whole = button(text("viewer.whole"), () => time.set(0, time.duration_s));
  const sound = viewer.options.sound === false ? [] : [play, slow, loop, time_shown, band, gain];
  const element = h("div", { class: "viewer-tools", role: "toolbar", "aria-label": text("viewer.tools") },
    ...sound, channel, h("span", { class: "gap" }), out, into, whole, viewer.settings.button,
    sign("?", "viewer.keys", showKeys));
  let shown = "";

  return {
    element,
    update() {
      const now = `${clock(player.t, 1, source.duration_s)} / ${clock(source.duration_s, 1, source.duration_s)}`;
      const state = [now, player.playing, player.slow, Boolean(player.looped), time.span_s, viewer.selected, viewer.channel].join();
      if (state === shown) return;
      shown = state;
      time_shown.textContent = now;
      play.textContent = text(player.playing ? "viewer.pause" : "viewer.play");
      slow.setAttribute("aria-pressed", String(player.slow));
      loop.setAttribute("aria-pressed", String(Boolean(player.looped)));
      loop.disabled = !player.looped && viewer.selected == null;
      out.disabled = whole.disabled = time.span_s >= time.duration_s;
      if (channel) channel.querySelector("select").value = String(viewer.channel);
    },
  };
}

function toggle(viewer) {
  if (viewer.player.playing) viewer.pause();
  else viewer.play();
}

function toggleLoop(viewer) {
  const event = viewer.event(viewer.selected);
  if (viewer.player.looped) viewer.player.unloop();
  else if (event) viewer.loop(event.start_s, event.end_s);
}

/** What zooming is about: the chosen event or the cursor, if in sight, else the middle. */
function middle(viewer) {
  const { time, player } = viewer;
  const event = viewer.event(viewer.selected);
  const places = [event && (event.start_s + event.end_s) / 2, player.t];
  return places.find((t) => t != null && t > time.start_s && t < time.end_s);
}

/** Register the keys of a viewer; returns what undoes it. */
export function keysOf(viewer) {
  const { text, player, time } = viewer;
  const when = () => viewer.isCurrent;
  const move = (step) => viewer.seek(player.t + step);
  const beside = (step) => {
    const next = viewer.lanesView.beside(viewer.selected, step, player.t);
    if (next) viewer.select(next.id);
  };
  const stop = () => {
    if (player.looped) player.unloop();
    else viewer.select(null);
  };
  const sound = viewer.options.sound === false ? [] : [
    ["Space", "play_pause", () => toggle(viewer)],
    ["ArrowLeft", "back", () => move(-STEP_S)],
    ["ArrowRight", "forward", () => move(STEP_S)],
    ["Shift+ArrowLeft", "back_fine", () => move(-FINE_STEP_S)],
    ["Shift+ArrowRight", "forward_fine", () => move(FINE_STEP_S)],
    ["l", "loop", () => toggleLoop(viewer)],
    ["h", "half_speed", () => { player.slow = !player.slow; }],
  ];
  return register([
    ...sound,
    ["Escape", "stop", stop],
    [["+", "="], "zoom_in", () => time.zoom(ZOOM, middle(viewer))],
    ["-", "zoom_out", () => time.zoom(1 / ZOOM, middle(viewer))],
    ["0", "whole", () => time.set(0, time.duration_s)],
    ["PageUp", "scroll_back", () => time.scroll(-0.5)],
    ["PageDown", "scroll_forward", () => time.scroll(0.5)],
    [".", "next_event", () => beside(1)],
    [",", "previous_event", () => beside(-1)],
  ].map(([keys, key, run]) => ({ keys, text: text(`viewer.${key}`), run, when })));
}
