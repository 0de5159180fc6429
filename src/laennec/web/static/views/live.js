/** Record: an audio input, its level, the moving spectrogram, events as they are found. */

import { toastError } from "../dialogs.js";
import { button, choice, field, h, replace } from "../dom.js";
import { inputs, InputError, openInput } from "../live/input.js";
import { createMoving } from "../live/moving.js";
import { Session } from "../live/session.js";
import { placeName } from "../list/cells.js";
import { sentence } from "../sentences.js";
import { duration, number, percent, remember, remembered, text, textOr } from "../text.js";

const LOWEST_DB = -80; // at the left end of the meter
const FALL_DB_S = 40; // of the meter, after a peak
const LATE_S = 4; // from an event to its being shown, from which the computer is too slow
const COUNTDOWN_S = 3;
const LENGTHS_S = [15, 30, 60, 0]; // 0: until it is stopped
const LENGTH = "laennec.live.length";
const INPUT = "laennec.live.input";

/** Show what is needed to record. */
export default class Live {
  #app;
  #life;
  #input = null; // an open input
  #asked = 0; // how often one was asked for
  #session = null;
  #phase = "closed"; // closed, ready, counting, beginning, recording, saving
  #peakDb = LOWEST_DB;
  #timer = 0;
  #frame = 0;
  #came = 0; // samples of the recording
  #found = 0;
  #quality = "";

  constructor(main, params, app, life) {
    this.#app = app;
    this.#life = life;
    this.#draw(main);
    life.on(window, "beforeunload", (event) => this.#session && event.preventDefault());
    if (navigator.mediaDevices?.addEventListener) life.on(navigator.mediaDevices, "devicechange", () => this.#list());
    life.atEnd(() => this.#leave());
  }

  /** Open the input at once where it was allowed before; else wait until somebody asks. */
  async open() {
    const { model } = this.#app.health;
    if (model?.task === "clips") { // it would only be refused later
      this.#say(text("app.model_for_clips", { name: model.name }), true);
      this.#show("closed");
      this.allow.hidden = true;
      return;
    }
    const permission = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
    if (permission?.state === "granted") await this.#allow();
    else this.#show("closed");
  }

  #leave() {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#session?.leave();
    this.#session = null;
    this.#input?.close();
    this.#input = null;
    this.#moving.close();
  }

  // --- what is seen ---

  #moving = null;

  #draw(main) {
    const { labels } = this.#app;
    this.choice = choice([["", text("live.input_any")]], "", (id) => this.#change(id));
    this.patient = h("input", { type: "text", maxlength: "200", autocomplete: "off" });
    this.position = choice([["", "–"], ...labels.positions.map(({ name }) => [name, placeName(name)])], "");
    const lengths = LENGTHS_S.map((seconds) => [String(seconds), seconds ? text("live.seconds", { seconds }) : text("live.until_stopped")]);
    this.length = choice(lengths, remembered(LENGTH) ?? "15", (value) => remember(LENGTH, value));
    this.counted = h("input", { type: "checkbox", checked: true });
    this.allow = button(text("live.allow"), () => this.#allow(), { class: "primary" });
    this.start = button(text("live.start"), () => this.#count(), { class: "primary record" });
    this.stop = button(text("live.stop"), () => this.#finish(), { class: "danger" });
    this.clock = h("output", { class: "clock" });
    this.bar = h("div", { class: "fill" });
    this.meter = h("div", { class: "meter", role: "meter", "aria-label": text("live.level"), "aria-valuemin": String(LOWEST_DB), "aria-valuemax": "0" }, this.bar);
    this.level = h("span", { class: "quiet number level" });
    this.said = h("p", { class: "said", role: "status" });
    this.warning = h("p", { class: "warning", "aria-live": "polite" });
    this.list = h("ol", { class: "found", tabindex: "0", "aria-label": text("live.events") });
    this.count = h("h2", {});
    this.delay = h("p", { class: "quiet small" });
    this.#moving = createMoving(({ label }) => this.#app.label(label), text("live.spectrogram"));
    const later = this.#app.health.phases && h("p", { class: "quiet small" }, text("live.phases"));
    this.results = h("section", { class: "events", hidden: true }, this.count, this.list, this.delay, later);
    this.work = h("div", { class: "desk" },
      h("div", { class: "row controls" }, this.start, this.stop, this.clock, h("span", { class: "gap" }), h("span", { class: "row levels" }, this.meter, this.level)),
      this.warning, this.#moving.element, this.results);
    this.form = h("fieldset", { class: "row settings" }, h("legend", {}, text("live.settings")),
      field(text("live.input"), this.choice), field(text("live.patient"), this.patient), field(text("live.position"), this.position),
      field(text("live.length"), this.length),
      h("label", { class: "option" }, this.counted, text("live.countdown", { seconds: COUNTDOWN_S })));
    replace(main, h("div", { class: "live" },
      h("h1", {}, text("app.live")), this.said, this.allow, this.form, this.work));
  }

  #show(phase) {
    this.#phase = phase;
    const isOpen = phase !== "closed";
    this.allow.hidden = isOpen;
    this.work.hidden = this.form.hidden = !isOpen;
    this.form.disabled = phase !== "ready";
    this.start.hidden = phase !== "ready";
    this.stop.hidden = !["counting", "recording"].includes(phase);
    this.work.classList.toggle("recording", phase === "recording");
    if (phase === "ready") this.clock.value = "";
    if (phase === "closed" && !this.said.textContent) this.#say(text("live.explain"));
  }

  #say(words, isBad = false) {
    this.said.textContent = words;
    this.said.classList.toggle("notice", isBad);
    this.said.classList.toggle("error", isBad);
  }

  // --- the input ---

  async #allow() {
    await this.#change(remembered(INPUT) || "");
    await this.#list();
  }

  async #change(id) {
    const number = ++this.#asked;
    this.#input?.close();
    this.#input = null;
    this.start.disabled = true;
    const open = (wanted) => openInput(wanted || null, (samples) => this.#take(samples), () => this.#lost());
    try {
      const input = await open(id).catch((error) => (id && error.key === "missing" ? open("") : Promise.reject(error)));
      if (this.#life.ended || number !== this.#asked) return input.close(); // or another one was chosen meanwhile
      this.#input = input;
    } catch (error) {
      if (number !== this.#asked) return;
      if (!(error instanceof InputError)) console.warn(error);
      this.#say(text(`live.input_error.${error instanceof InputError ? error.key : "missing"}`), true);
      this.#show("closed");
      return;
    }
    remember(INPUT, this.#input.id);
    this.#say("");
    this.start.disabled = false;
    this.#show("ready");
    this.#frame ||= requestAnimationFrame((now) => this.#meter(now, now));
  }

  async #list() {
    if (!this.#input) return;
    const found = await inputs();
    const named = found.map(({ id, name }, k) => [id, name || text("live.input_number", { number: k + 1 })]);
    replace(this.choice, named.map(([id, name]) => h("option", { value: id, selected: id === this.#input?.id }, name)));
  }

  #lost() {
    this.#input = null;
    if (this.#phase === "recording") this.#finish();
    else {
      clearInterval(this.#timer);
      this.#show("closed");
    }
    this.#say(text("live.input_error.lost"), true);
  }

  #take(samples) {
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.#peakDb = Math.max(this.#peakDb, 20 * Math.log10(Math.max(peak, 1e-6)));
    if (this.#phase !== "recording" || !this.#session || !this.#input) return; // samples on their way come late
    this.#came += samples.length;
    this.#session.add(samples);
    const seconds = this.#came / this.#input.rate;
    const most = Number(this.length.value);
    this.clock.value = most ? text("live.of", { elapsed: duration(seconds), all: duration(most) }) : duration(seconds);
    if (most && seconds >= most) this.#finish();
  }

  /** Show the level, which falls slowly, so that a peak is seen. */
  #meter(now, before) {
    const share = Math.min(1, Math.max(0, 1 - this.#peakDb / LOWEST_DB));
    this.bar.style.setProperty("transform", `scaleX(${share.toFixed(3)})`);
    this.meter.classList.toggle("full", this.#peakDb > -1);
    const shown = `${number(Math.max(LOWEST_DB, Math.round(this.#peakDb)))} dB`;
    if (this.level.textContent !== shown) {
      this.level.textContent = shown;
      this.meter.setAttribute("aria-valuenow", String(Math.max(LOWEST_DB, Math.min(0, Math.round(this.#peakDb)))));
    }
    this.#peakDb = Math.max(LOWEST_DB, this.#peakDb - (FALL_DB_S * (now - before)) / 1000);
    this.#frame = requestAnimationFrame((next) => this.#meter(next, now));
  }

  // --- a recording ---

  #count() {
    if (!this.counted.checked) return this.#begin();
    let left = COUNTDOWN_S;
    this.#show("counting");
    this.clock.value = text("live.begins", { seconds: left });
    this.#timer = setInterval(() => {
      left -= 1;
      this.clock.value = text("live.begins", { seconds: left });
      if (left > 0) return;
      clearInterval(this.#timer);
      this.#begin();
    }, 1000);
    return undefined;
  }

  async #begin() {
    const facts = { patient: this.patient.value.trim() || null, position: this.position.value || null, device: this.#input.name.slice(0, 100) || null };
    this.#show("beginning"); // what is clicked until the server has answered begins no second one
    this.clock.value = "";
    this.#came = this.#found = 0;
    replace(this.list);
    this.#counted();
    try {
      const session = await Session.begin(this.#app.api, this.#input.rate, facts, (news) => this.#tell(news), (error) => this.#failed(error));
      if (this.#life.ended || !this.#input) return session.leave();
      this.#session = session;
    } catch (error) {
      this.#show(this.#input ? "ready" : "closed");
      return toastError(error);
    }
    this.#say(text("live.recording"));
    this.results.hidden = false;
    this.#show("recording");
    this.stop.focus();
    return undefined;
  }

  #tell({ columns, events, quality, delay_s: delayS, duration_s: sentS }) {
    if (this.#life.ended || !this.#input) return;
    this.#moving.add(columns);
    this.#moving.events(events);
    for (const event of events) this.list.prepend(this.#line(event));
    this.#found += events.length;
    this.#counted();
    const lateS = delayS + Math.max(0, this.#came / this.#input.rate - sentS);
    this.delay.textContent = text(lateS > LATE_S ? "live.late" : "live.delay", { seconds: number(lateS, 1) });
    const words = quality.map(({ kind, message }) => textOr(`live.quality.${kind}`, sentence(message))).join(" ");
    if (words !== this.#quality) this.warning.textContent = this.#quality = words;
  }

  #counted() {
    this.count.textContent = text("live.found", { count: this.#found });
  }

  #line(event) {
    const { text: name, colour } = this.#app.label(event.label);
    const times = text("live.times", { start: number(event.start_s, 2), end: number(event.end_s, 2) });
    return h("li", {}, h("span", { class: "swatch", style: { "--colour": colour } }), h("span", { class: "name" }, name),
      h("span", { class: "number" }, times), h("span", { class: "quiet number" }, percent(event.probability)),
      event.uncertain && h("span", { class: "flag" }, text("live.uncertain")));
  }

  #failed(error) {
    toastError(error);
    if (this.#phase === "recording") this.#finish();
  }

  /** End the recording and go to it; before it has begun, back to where it can. */
  async #finish() {
    clearInterval(this.#timer);
    if (this.#phase === "counting") return this.#show("ready");
    if (this.#phase !== "recording") return undefined;
    this.#show("saving");
    this.#say(text("live.saving"));
    const session = this.#session;
    try {
      const row = await session.end();
      this.#session = null;
      if (!this.#life.ended) this.#app.navigate(`#/recording/${row.id}`);
    } catch (error) {
      this.#session = null;
      this.#say(error.message, true);
      this.#show(this.#input ? "ready" : "closed");
    }
    return undefined;
  }
}
