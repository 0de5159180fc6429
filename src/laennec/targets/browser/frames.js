/** The outputs of a model for recordings for every frame of a channel: in chunks, averaged over shifts. */

import { rint } from "./numbers.js";

const CHUNK_S = 54; // at a time
export const OUTPUTS = ["presence", "evidence", "context", "record", "kind"];

/**
 * @param {object} run `run(samples)` promises {name: {data, rows}} of OUTPUTS, frames running fastest
 * @param {object} card
 * @param {Float32Array} samples at the card's rate
 * @param {number} level of the channel; 0: the samples are taken as they are
 * @param {{progress?: (share: number) => void, chunk_s?: number}} [options] `chunk_s`: seconds at a time; where chunks
 *   meet changes nothing
 * @returns {Promise<object>} {count, end_s, presence, …: {data, rows}, extent, level_db}, data[row * count + frame]
 */
export async function framesOf(run, card, samples, level, { progress, chunk_s = CHUNK_S } = {}) {
  const frame = card.frame_samples;
  const step = Math.max(1, rint(chunk_s / card.frame_s)) * frame;
  const reach = (card.reach_frames + 1) * frame;
  const parts = [];
  let done = 0;
  for (let over = false; !over;) {
    const first = Math.max(0, Math.floor((done - reach) / frame) * frame);
    over = samples.length - done - reach - 1 < step;
    const piece = samples.subarray(first, over ? samples.length : done + step + reach);
    const outputs = await averaged(run, card, amplified(piece, level ? card.level / level : 1));
    Object.assign(outputs, levels(piece, frame, outputs.presence.count));
    const from = (done - first) / frame;
    parts.push(cut(outputs, from, over ? outputs.presence.count : from + step / frame));
    done += step;
    progress?.(Math.min(1, done / samples.length));
  }
  const joined = join(parts);
  return { count: joined.presence.count, end_s: samples.length / card.sample_rate, ...joined };
}

function amplified(samples, gain) {
  const factor = Math.fround(gain);
  return factor === 1 ? samples.slice() : samples.map((value) => value * factor);
}

/** The outputs averaged over shifts below a frame; silence stands before the first sample. */
async function averaged(run, card, samples) {
  const [frame, phases] = [card.frame_samples, card.phases];
  const count = Math.ceil(samples.length / frame);
  let total = null;
  for (let phase = 0; phase < phases; phase += 1) {
    const shift = Math.floor(((2 * phase + 1 - phases) * frame) / (2 * phases));
    const outputs = await run(shifted(samples, shift));
    const found = Object.fromEntries(OUTPUTS.map((name) => [name, ofLength(outputs[name], count)]));
    if (!total) total = found;
    else for (const name of OUTPUTS) found[name].data.forEach((value, k) => { total[name].data[k] += value; });
    await new Promise((resolve) => setTimeout(resolve)); // a page stays alive meanwhile
  }
  for (const name of OUTPUTS) total[name].data.forEach((value, k) => { total[name].data[k] = value / phases; });
  return total;
}

function shifted(samples, shift) {
  if (shift >= 0) return shift < samples.length ? samples.subarray(shift) : samples;
  const moved = new Float32Array(samples.length - shift);
  moved.set(samples, -shift);
  return moved;
}

/** The first `count` frames; the last one stands for those that lack. */
function ofLength({ data, rows }, count) {
  const own = data.length / rows;
  const found = new Float32Array(rows * count);
  for (let row = 0; row < rows; row += 1) {
    for (let k = 0; k < count; k += 1) found[row * count + k] = data[row * own + Math.min(k, own - 1)];
  }
  return { data: found, rows, count };
}

/** Extent and power of each frame's samples; the last one is filled up with its last sample. */
function levels(samples, frame, count) {
  const extent = new Float32Array(count), level_db = new Float32Array(count);
  for (let k = 0; k < count; k += 1) {
    let low = Infinity, high = -Infinity, power = 0;
    for (let j = 0; j < frame; j += 1) {
      const value = samples[Math.min(k * frame + j, samples.length - 1)];
      low = Math.min(low, value);
      high = Math.max(high, value);
      power += value * value;
    }
    extent[k] = high - low;
    level_db[k] = 10 * Math.log10(power / frame + 1e-12);
  }
  return { extent: { data: extent, rows: 1, count }, level_db: { data: level_db, rows: 1, count } };
}

/** The frames from `first` to before `end`, of every array. */
export function cut(outputs, first, end) {
  return Object.fromEntries(Object.entries(outputs).filter(([, value]) => value?.data).map(([name, { data, rows, count }]) => {
    const found = new Float32Array(rows * (end - first));
    for (let row = 0; row < rows; row += 1) {
      found.set(data.subarray(row * count + first, row * count + end), row * (end - first));
    }
    return [name, { data: found, rows, count: end - first }];
  }));
}

function join(parts) {
  if (parts.length === 1) return parts[0];
  return Object.fromEntries(Object.keys(parts[0]).map((name) => {
    const { rows } = parts[0][name];
    const count = parts.reduce((sum, part) => sum + part[name].count, 0);
    const data = new Float32Array(rows * count);
    let at = 0;
    for (const { [name]: part } of parts) {
      for (let row = 0; row < rows; row += 1) {
        data.set(part.data.subarray(row * part.count, (row + 1) * part.count), row * count + at);
      }
      at += part.count;
    }
    return [name, { data, rows, count }];
  }));
}

/** One row of an output, as a view. */
export function row({ data, count }, k) {
  return data.subarray(k * count, (k + 1) * count);
}

/** The logits of the event classes in every frame: the mean over the rows of frequency, and the context. */
export function classLogits(frames, classes) {
  const bands = frames.evidence.rows / classes;
  return Array.from({ length: classes }, (_, label) => {
    const found = new Float64Array(frames.context.count);
    for (let band = 0; band < bands; band += 1) {
      row(frames.evidence, label * bands + band).forEach((value, k) => { found[k] += value; });
    }
    const context = row(frames.context, label);
    return found.map((sum, k) => sum / bands + context[k]);
  });
}
