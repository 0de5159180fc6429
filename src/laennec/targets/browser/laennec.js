/**
 * A model of Laennec in a browser: sound in, events and an answer for the recording out. Nothing leaves the page.
 *
 *     import { load, readSound } from "./laennec.js";
 *     const model = await load("recording.onnx", "recording.json");
 *     const { channels, rate, ...read } = await readSound(await file.arrayBuffer(), file.name);
 *     const analysis = await model.analyze(channels, rate, read);
 *
 * It needs no element of a page, so that it runs in a worker as well. Research software, not a medical device.
 */

import { toJson } from "./analysis.js";
import { answerOf, combined, contactNoise, refusedParts, segmentsOf, withoutRefused } from "./answer.js";
import { readCard } from "./card.js";
import { eventsOf } from "./events.js";
import { framesOf, OUTPUTS } from "./frames.js";
import { surveyed } from "./quality.js";
import { SHORTEST_BREATH_S } from "./rate.js";
import { resample } from "./resample.js";
import { eventsOfWindows } from "./windows.js";

const RUNTIME = "runtime/ort.wasm.bundle.min.mjs", WASM = "runtime/ort-wasm-simd-threaded.wasm";

/**
 * Load a model.
 *
 * @param {string|URL|ArrayBuffer|Uint8Array} model the .onnx file, or where it is
 * @param {string|URL|object} card the JSON beside it, or where it is
 * @param {{ort?: object, wasm?: ArrayBuffer|Uint8Array}} [options] ONNX Runtime for browsers and its WebAssembly, in
 *   place of those in `runtime/` beside this file
 * @returns {Promise<Model>}
 * @throws {Error} with a sentence, where one of them cannot be loaded or does not belong to the other
 */
export async function load(model, card, { ort, wasm } = {}) {
  const given = isPlace(card) ? await (await fetched(card)).json() : card;
  const content = isPlace(model) ? new Uint8Array(await (await fetched(model)).arrayBuffer()) : new Uint8Array(model);
  const checked = readCard(given);
  await checkContent(content, given.sha256);
  const here = (place) => new URL(place, import.meta.url).href;
  const runtime = ort ?? (await import(here(RUNTIME)));
  runtime.env.wasm.numThreads = 1; // more need cross-origin isolation, which is the server's to give
  runtime.env.wasm.proxy = false;
  if (wasm) runtime.env.wasm.wasmBinary = wasm;
  else runtime.env.wasm.wasmPaths ??= { wasm: here(WASM) };
  const session = await runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
  return new Model(checked, given, session, runtime);
}

function isPlace(value) {
  return typeof value === "string" || value instanceof URL;
}

async function fetched(place) {
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place} cannot be loaded (${response.status})`);
  return response;
}

async function checkContent(content, sha256) {
  if (!sha256 || !globalThis.crypto?.subtle) return; // browsers give it to secure pages alone
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== sha256) throw new Error("the model file is not the one that its JSON describes: it is damaged, or of another export");
}

/** A model that is loaded; `card` is what it says of itself. */
export class Model {
  #ort;
  #session;
  #given;
  #queue = Promise.resolve();

  constructor(card, given, session, ort) {
    this.card = card;
    this.#given = given;
    this.#session = session;
    this.#ort = ort;
  }

  /**
   * Analyse a recording.
   *
   * @param {Float32Array|Float32Array[]} samples of one channel, or one array a channel; full scale 1
   * @param {number} rate samples a second, 4,000 to 192,000
   * @param {object} [options] {name, coding: of the samples before they were floats, such as PCM_16, by which silence
   *   is told (see readSound), repairs, findings, notes: of whoever read the file, progress: (share) => void,
   *   chunk_s: seconds that a model for recordings is given at a time, 54; fewer take less memory and more time}
   * @returns {Promise<object>} the JSON of an analysis, format 1
   * @throws {Error} with a sentence
   */
  analyze(samples, rate, options = {}) {
    const wanted = this.#queue.then(() => this.#analyze(samples, rate, options));
    this.#queue = wanted.catch(() => {}); // one at a time: the runtime has one thread
    return wanted;
  }

  async #analyze(samples, rate, { name = "recording", coding = "FLOAT", repairs = [], findings = [], notes = [], progress, chunk_s }) {
    const given = Array.isArray(samples) ? samples : [samples];
    const survey = surveyed(given, rate, coding, name);
    const { card } = this;
    const quality = [...findings, ...survey.findings];
    const said = [...notes, ...remarks(survey, card)];
    const chosen = worthAnalysing(survey, card, said);
    const channels = [];
    for (const [k, number] of chosen.entries()) {
      const sound = resample(survey.channels[number], rate, card.sample_rate);
      const share = (part) => progress?.((k + part) / chosen.length);
      channels.push(await this.#channel(sound, number, survey, { progress: share, chunk_s }));
    }
    const of_recordings = card.task === "recording";
    const total = channels.length > 1 ? channels.reduce((sum, channel) => sum + channel.events.length, 0) : null;
    const answers = of_recordings ? channels.map((channel) => answerOf(card, channel, quality, total)) : [];
    for (const { number, segments } of of_recordings ? channels : []) {
      const noise = contactNoise(segments);
      if (noise) quality.push({ kind: "contact_noise", message: noise.message, share: noise.share, channel: number });
    }
    return toJson({
      name, survey, card, quality,
      length: given[0].length,
      sha256: this.#given.sha256 ?? "",
      laennec: this.#given.laennec ?? card.version,
      kind: of_recordings ? "detected" : "windows",
      record: combined(answers),
      channel_records: answers,
      events: channels.flatMap(({ events }) => events),
      refused_parts: of_recordings ? channels.flatMap(refusedParts) : [],
      repairs: [...repairs, ...survey.repairs],
      notes: said,
    });
  }

  async #channel(sound, number, survey, options) {
    const { card } = this;
    if (card.task !== "recording") {
      const run = (clip) => this.#probabilities(clip);
      return { number, events: await eventsOfWindows(run, card, sound, number, survey.silent_range, options) };
    }
    const run = (samples) => this.#outputs(samples);
    const frames = await framesOf(run, card, sound, survey.levels[number], options);
    const segments = segmentsOf(frames, card, survey.silent_range);
    return { number, segments, events: withoutRefused(eventsOf(frames, card, number), segments) };
  }

  /** The outputs of the graph for samples at the card's rate, {name: {data, rows}}; frames run fastest. */
  async #outputs(samples) {
    const waveform = new this.#ort.Tensor("float32", samples, [1, samples.length]);
    const values = await this.#session.run({ waveform }, OUTPUTS);
    return Object.fromEntries(OUTPUTS.map((name) => {
      const { data, dims } = values[name];
      if (!data.every(Number.isFinite)) throw new Error("the model gave a non-finite value");
      return [name, { data, rows: data.length / dims.at(-1) }];
    }));
  }

  /** Probabilities of a clip, of which neither age nor sex nor position is known. */
  async #probabilities(clip) {
    const { Tensor } = this.#ort;
    const unknown = () => new Tensor("int64", [0n], [1]);
    const values = await this.#session.run({
      waveform: new Tensor("float32", clip, [1, clip.length]),
      length: new Tensor("int64", [BigInt(clip.length)], [1]),
      age_years: new Tensor("float32", [NaN], [1]),
      sex: unknown(),
      position: unknown(),
    }, ["probabilities"]);
    return values.probabilities.data;
  }
}

function remarks({ rate }, card) {
  if (rate === card.sample_rate) return [];
  const highest_hz = card.edges_hz?.at(-1) ?? card.sample_rate / 2;
  const lacking = rate / 2 < highest_hz ? `; it holds nothing above ${Math.floor(rate / 2)} Hz, where the model listens too` : "";
  return [`resampled from ${rate} to ${card.sample_rate} Hz, the model's rate${lacking}`];
}

/** Numbers of the channels that are neither silent nor too short nor copies; `notes` gets why the others are not. */
function worthAnalysing({ channels, rate, findings, silent, twins }, card, notes) {
  const duration_s = channels[0].length / rate;
  const is_short = findings.some(({ kind }) => kind === "too_short");
  if (is_short || (card.task === "recording" && duration_s < SHORTEST_BREATH_S)) {
    notes.push(`not analysed: ${duration_s.toFixed(3)} s are too short to hold a ${is_short ? "respiratory sound" : "breath"}`);
    return [];
  }
  return channels.flatMap((_, k) => {
    const called = channels.length > 1 ? `channel ${k}` : "the recording";
    if (silent.includes(k)) notes.push(`not analysed: ${called} is silent`);
    else if (twins.has(k)) notes.push(`${called} is the same as channel ${twins.get(k)} and was not analysed again`);
    else return [k];
    return [];
  });
}
