/**
 * A viewer of one recording: events, waveform and spectrogram on one time axis, with its sound.
 *
 * It needs nothing of the page around it: words, labels and data come in by its arguments.
 */

import { createBreathing } from "./breathing.js";
import { everyFrame, h } from "./dom.js";
import { createEvidence } from "./evidence.js";
import { showKeys, useText } from "./keys.js";
import { createLanes } from "./lanes.js";
import { Life } from "./life.js";
import { createOverview } from "./overview.js";
import { fixed } from "./decimals.js";
import { createPlayer } from "./player.js";
import { createSettings, rememberedLook, sensible } from "./settings.js";
import { createSpectrogram, frequencyTicks } from "./spectrogram.js";
import { attachDrag, attachWheel, ticks, TimeAxis } from "./time.js";
import { createTools, keysOf } from "./tools.js";
import { createWaveform } from "./waveform.js";

const MOST_SCALE = 2; // pixels of the canvases per pixel of the page
const OPENING_S = 30; // of a longer recording, this much is shown at first
const UNKNOWN = "#dddddd";
let current = null; // the viewer that keys act on, where there are several
let made = 0;

/**
 * @param {HTMLElement} element that gets the viewer as its content
 * @param {object} source {duration_s, channels, topHz, columnS, levels, rangeDb, windowsMs,
 *   tile(channel, level, index, windowMs, signal) → Promise<ImageBitmap>,
 *   waveform(channel, start_s, end_s, columns, signal) → Promise<Int8Array>, soundUrl(channel)}
 * @param {object} options {text(key, values), label(name) → {colour, text, short, adventitious},
 *   relevance(event) → where its evidence lies, for events that do not say,
 *   sentence(english) → a sentence of an analysis in the page's language,
 *   layers: {name → its words}, where others are shown than events and phases,
 *   flat: without WebGL (true) or with it anyhow (false), compact: without overview, sound: false for none}
 * @returns {Viewer}
 */
export function createViewer(element, source, options) {
  return new Viewer(element, source, options);
}

/** Emits `select` {id}, `events` {layer}, `seek` {t}, `time`, `played`, `channel`, `look` (all CustomEvents, `detail`). */
export class Viewer extends EventTarget {
  #life = new Life();
  #frame = everyFrame(() => this.#draw());
  #pending = true; // something has changed since the last drawing
  #dark = matchMedia("(prefers-color-scheme: dark)");
  #scale = 1;
  #channel = 0;
  #spans = [];
  #selected = null;
  #colours = null;

  constructor(element, source, options) {
    super();
    this.source = source;
    this.text = options.text;
    this.options = options;
    this.label = (name) => {
      const { colour = UNKNOWN, text = name, short = name, adventitious } = options.label?.(name) ?? {};
      return { colour, text, short, adventitious };
    };
    this.layers = options.layers ?? { events: this.text("viewer.layer_events"), phases: this.text("viewer.layer_phases") };
    this.look = sensible(rememberedLook(), source.topHz);
    this.time = new TimeAxis(source.duration_s);
    this.#build(element, `viewer-${++made}`);
    if (source.duration_s > 2 * OPENING_S) this.time.set(0, OPENING_S);
    this.#listen();
    this.chooseChannel(0);
    current ??= this;
  }

  /** Aborted when the viewer is disposed of: for listeners of those that build on it. */
  get signal() {
    return this.#life.signal;
  }

  get channel() {
    return this.#channel;
  }

  get selected() {
    return this.#selected;
  }

  get isCurrent() {
    return current === this;
  }

  /** Whether everything that is to be seen has been loaded and drawn. */
  get settled() {
    return !this.#pending && this.spectrogram.settled && this.waveform.settled;
  }

  #build(element, id) {
    const { text, source, signal } = this;
    const changed = () => this.#ask();
    useText(text);
    this.lanesView = createLanes({ label: this.label, text, names: Object.keys(this.layers), select: (chosen) => this.select(chosen), changed });
    this.lanes = this.lanesView.element;
    this.cursor = h("div", { class: "viewer-cursor" });
    this.span = h("div", { class: "viewer-span", hidden: true });
    this.wave = h("canvas", { class: "viewer-waveform", "aria-hidden": "true" });
    this.picture = h("div", { class: "viewer-picture", role: "img", "aria-label": text("viewer.spectrogram") });
    this.canvasArea = h("div", { class: "viewer-canvases", id }, this.wave, this.picture, this.span);
    this.hertz = h("div", { class: "viewer-hertz", "aria-hidden": "true" });
    this.names = h("div", { class: "viewer-names", "aria-hidden": "true" });
    this.axis = h("div", { class: "viewer-axis", "aria-hidden": "true" });
    const { label, options: { sentence = (english) => english } } = this;
    this.breathing = createBreathing({ label, text, sentence, changed });
    this.area = h("div", { class: "viewer-area" }, this.canvasArea, this.breathing.lane, this.axis);
    this.status = h("p", { class: "viewer-status", role: "status" });
    this.spectrogram = createSpectrogram(this.picture, source, { changed, flat: this.options.flat });
    this.evidence = createEvidence(this.picture);
    this.waveform = createWaveform(this.wave, source, { changed });
    this.player = createPlayer(source, {
      moved: changed,
      changed: () => this.#played(),
      failed: (why) => this.say(text("viewer.no_sound", { why })),
    });
    this.overview = this.options.compact ? null : createOverview(source, this.time, { text, changed, signal, controls: id });
    const windows_ms = source.windowsMs ?? [this.look.window_ms];
    this.settings = createSettings(this.look, { text, windows_ms, signal, changed: (look) => this.setLook(look) });
    this.tools = createTools(this, { showKeys });
    const lanes = h("div", { class: "viewer-lanes-box" }, this.lanesView.canvas, this.lanes, this.cursor);
    this.element = h("div", { class: "viewer" }, this.tools.element, this.settings.panel,
      h("div", { class: "viewer-plot" },
        this.overview && h("div", { class: "viewer-gutter viewer-strip-gutter" }), this.overview?.element,
        this.names, lanes,
        h("div", { class: "viewer-gutter" }, h("span", { class: "viewer-wave-name", "aria-hidden": "true" }, text("viewer.waveform")), this.hertz, this.breathing.name),
        this.area),
      this.breathing.line, this.status);
    element.replaceChildren(this.element);
  }

  #listen() {
    const life = this.#life;
    const { signal } = life;
    life.on(this.time, "change", () => {
      this.#ask();
      this.dispatchEvent(new CustomEvent("time"));
    });
    attachDrag(this.area, this.time, { signal, click: (t) => this.seek(t) });
    for (const element of [this.area, this.lanes]) attachWheel(element, this.time, signal);
    life.on(this.element, ["pointerdown", "focusin"], () => { current = this; });
    life.on(this.#dark, "change", () => this.#recolour());
    const size = new ResizeObserver(() => this.#resize());
    size.observe(this.canvasArea);
    life.atEnd(() => size.disconnect());
    life.atEnd(keysOf(this));
  }

  #ask() {
    this.#pending = true;
    this.#frame.ask();
  }

  #resize() {
    this.#scale = Math.min(MOST_SCALE, devicePixelRatio || 1);
    this.time.width = Math.max(1, this.canvasArea.clientWidth);
    const fit = (canvas, box = canvas) => {
      const [width, height] = [box.clientWidth, box.clientHeight].map((v) => Math.max(1, Math.round(v * this.#scale)));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    };
    fit(this.wave);
    fit(this.spectrogram.canvas, this.picture);
    fit(this.evidence.canvas, this.picture);
    fit(this.lanesView.canvas, this.lanes);
    if (this.overview) fit(this.overview.canvas);
    this.#recolour();
    this.#draw(); // at once: a canvas that was resized is empty
  }

  #recolour() {
    const style = getComputedStyle(this.element);
    this.#colours = { ink: style.getPropertyValue("--ink").trim() || style.color, dark: this.#dark.matches };
    this.#ask();
  }

  #draw() {
    if (!this.#colours || this.signal.aborted) return;
    this.#pending = false;
    const { time, player } = this;
    if (this.spectrogram.canvas.width !== Math.round(this.picture.clientWidth * this.#scale)) this.#fitAgain();
    if (player.playing) this.#follow();
    this.lanesView.update(time, this.#scale); // first, since without a graphics card the picture may take long
    this.breathing.update(time);
    this.waveform.draw(time, { ink: this.#colours.ink, spans: this.#spansShown() }, this.#scale);
    this.spectrogram.draw(time, { ...this.look, dark: this.#colours.dark }, this.#scale);
    this.#drawEvidence();
    this.overview?.draw(this.#colours, this.#spans, this.#scale, player.t);
    const x = time.x(player.t);
    this.cursor.hidden = x < -1 || x > time.width + 1;
    this.cursor.style.transform = `translateX(${x.toFixed(1)}px)`;
    this.#drawSpan();
    this.#drawTicks();
    this.tools.update();
  }

  #drawEvidence() {
    const event = this.#selected && this.lanesView.get(this.#selected);
    const relevance = event && (event.relevance ?? this.options.relevance?.(event));
    this.evidence.draw(this.time, this.look, relevance, this.#scale);
  }

  #fitAgain() { // the canvas was replaced: the context was lost
    const { canvas } = this.spectrogram;
    canvas.width = Math.max(1, Math.round(this.picture.clientWidth * this.#scale));
    canvas.height = Math.max(1, Math.round(this.picture.clientHeight * this.#scale));
  }

  #spansShown() {
    const { start_s, end_s } = this.time;
    return this.#spans.filter((span) => span.end_s > start_s && span.start_s < end_s);
  }

  #drawSpan() {
    const event = this.#selected && this.lanesView.get(this.#selected);
    this.span.hidden = !event || event.channel !== this.#channel;
    if (this.span.hidden) return;
    const from = Math.max(-4, this.time.x(event.start_s)), to = Math.min(this.time.width + 4, this.time.x(event.end_s));
    this.span.hidden = to <= from;
    this.span.style.transform = `translateX(${from.toFixed(1)}px)`;
    this.span.style.width = `${Math.max(1, to - from).toFixed(1)}px`;
  }

  #drawTicks() {
    const found = ticks(this.time);
    while (this.axis.children.length < found.length) this.axis.append(h("span"));
    [...this.axis.children].forEach((mark, k) => {
      mark.hidden = k >= found.length;
      if (mark.hidden) return;
      if (mark.textContent !== found[k].label) mark.textContent = found[k].label;
      mark.style.transform = `translateX(${this.time.x(found[k].t).toFixed(1)}px)`;
    });
  }

  #drawHertz() {
    this.hertz.replaceChildren(...frequencyTicks(this.look).map(({ hz, share }) =>
      h("span", { style: { top: `${(100 * share).toFixed(2)}%` } }, hz >= 1000 ? `${fixed(hz / 1000, hz % 1000 ? 1 : 0)} kHz` : `${hz} Hz`)));
  }

  #follow() {
    const { player, time } = this;
    const t = player.t;
    if (player.looped || (t >= time.start_s && t <= time.end_s)) return;
    time.set(t - 0.05 * time.span_s, t + 0.95 * time.span_s);
  }

  #played() {
    this.#ask();
    this.dispatchEvent(new CustomEvent("played", { detail: { playing: this.player.playing } }));
  }

  /** Show these events, {id, channel, start_s, end_s, label, probability, uncertain, status}, in a layer. */
  setEvents(events, { layer = "events" } = {}) {
    this.lanesView.setEvents(events, layer);
    if (this.#selected && !this.lanesView.get(this.#selected)) this.select(null);
    this.#arrange();
    this.dispatchEvent(new CustomEvent("events", { detail: { layer } }));
  }

  /** Show the phases of breaths, as an analysis has them in `breathing`; null for none. */
  setBreathing(breathing) {
    this.breathing.set(breathing);
  }

  /** The events of the shown channel in a layer, in order of time. */
  events(layer = "events") {
    return this.lanesView.shown(layer);
  }

  #arrange() {
    const spans = this.lanesView.shown("events").map((event) => ({ ...event, ...this.label(event.label) }));
    this.#spans = spans.filter((span) => span.adventitious !== false);
    this.names.replaceChildren(...this.lanesView.rows.map(({ name, lanes }) =>
      h("span", { style: { "--lanes": lanes } }, h("span", { title: this.layers[name] }, this.layers[name]))));
    this.lanes.parentElement.classList.toggle("empty", this.lanesView.rows.length === 0);
    this.#ask();
  }

  /** Choose an event, or none by null, and bring it into sight. */
  select(id) {
    const event = id == null ? null : this.lanesView.get(id);
    if (event && event.channel !== this.#channel) this.chooseChannel(event.channel);
    if (event) this.time.show(event.start_s, event.end_s);
    const changed = this.#selected !== (event?.id ?? null);
    this.#selected = event?.id ?? null;
    this.lanesView.mark(this.#selected);
    if (changed) this.dispatchEvent(new CustomEvent("select", { detail: { id: this.#selected } }));
  }

  /** The event of an id. */
  event(id) {
    return this.lanesView.get(id);
  }

  chooseChannel(channel) {
    this.#channel = channel;
    const { columnS, levels, topHz, rangeDb } = this.source;
    this.spectrogram.choose(channel, this.look.window_ms, { columnS, levels, topHz, rangeDb });
    this.waveform.choose(channel);
    this.overview?.choose(channel);
    this.lanesView.choose(channel);
    this.breathing.choose(channel);
    if (this.options.sound !== false) this.player.choose(channel);
    this.#drawHertz();
    this.#arrange();
    this.dispatchEvent(new CustomEvent("channel", { detail: { channel } }));
  }

  /** Change how the spectrogram looks; see settings.js. */
  setLook(look) {
    this.look = sensible({ ...this.look, ...look }, this.source.topHz);
    const { columnS, levels, topHz, rangeDb } = this.source;
    this.spectrogram.choose(this.#channel, this.look.window_ms, { columnS, levels, topHz, rangeDb });
    this.#drawHertz();
    this.#ask();
    this.dispatchEvent(new CustomEvent("look", { detail: this.look }));
  }

  play() {
    current = this;
    return this.player.play();
  }

  pause() {
    this.player.pause();
  }

  seek(t) {
    this.player.seek(t);
    this.dispatchEvent(new CustomEvent("seek", { detail: { t } }));
  }

  /** Play a part again and again. */
  loop(start_s, end_s) {
    current = this;
    this.time.show(start_s, end_s);
    return this.player.loop(start_s, end_s);
  }

  /** Tell something below the picture, also to screen readers. */
  say(words) {
    this.status.textContent = words;
  }

  /** End everything: sound, listeners, pictures. */
  dispose() {
    this.#life.end();
    this.#frame.cancel();
    this.player.dispose();
    this.spectrogram.dispose();
    this.evidence.dispose();
    this.waveform.dispose();
    this.overview?.dispose();
    this.lanesView.dispose();
    this.element.remove();
    if (current === this) current = null;
  }
}
