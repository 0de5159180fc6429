/** What is wrong with the sound of a recording, and what of it has to be known before a model hears it. */

import { extent, extentsOf, levelOf, silentRange, silentShare, stepOf } from "./level.js";
import { counted, general, grouped, percent, rint } from "./numbers.js";

const MIN_RATE = 4000, MAX_RATE = 192000;
const MAX_CHANNELS = 64;
const MAX_MAGNITUDE = 2 ** 31; // beyond it a number is no sample
const MAX_NON_FINITE = 0.01; // of a channel
const MIN_DURATION_S = 0.1; // a wheeze lasts 0.1 s or more
const PART_S = 0.05; // holds several periods of any lung sound
const SILENT_SHARE = 0.5, CLIPPED_SHARE = 1e-4;
const FEWEST_STEPS = 16; // of the format, half the usual extent of a sound
const PLATEAU = 3; // equal samples at the top, from which on it is no peak

/**
 * Check and repair samples, and say what is noticeable about them.
 *
 * @param {Float32Array[]} given one a channel, of equal lengths, full scale 1
 * @param {number} rate Hz
 * @param {string} coding see `stepOf`
 * @param {string} name for messages
 * @returns {object} {channels, rate, repairs, findings, twins: Map of a channel to its like, silent: numbers of
 *   channels, levels, silent_range}
 * @throws {Error} with a sentence, where no recording of a lung can be like this
 */
export function surveyed(given, rate, coding, name) {
  check(given, rate, name);
  const repairs = [];
  let channels = withoutNonFinite(given, name, repairs);
  let peak = peakOf(channels);
  if (peak > 1) {
    repairs.push(`peak ${general(peak)} is above full scale: all samples divided by it`);
    const divisor = Math.fround(peak);
    channels = channels.map((samples) => samples.map((value) => Math.max(-1, Math.min(1, Math.fround(value / divisor)))));
    peak = peakOf(channels);
  }
  const step = stepOf(channels, coding, peak);
  const silent_range = silentRange(step);
  const part = Math.max(1, rint(PART_S * rate));
  const extents = channels.map((samples) => extentsOf(samples, part));
  const shares = extents.map((each, k) => (each.length ? silentShare(each, silent_range) : Number(extent(channels[k]) <= silent_range)));
  const levels = extents.map((each) => levelOf(each, silent_range));
  return {
    channels, rate, repairs, levels, silent_range,
    findings: findings({ channels, rate, step, levels, shares }),
    twins: twinsOf(channels),
    silent: shares.flatMap((share, k) => (share === 1 ? [k] : [])),
  };
}

function check(channels, rate, name) {
  if (!(rate >= MIN_RATE && rate <= MAX_RATE) || rate % 1) {
    throw new Error(`${name}: its sample rate is ${rate} Hz; whole numbers from ${grouped(MIN_RATE)} to ${grouped(MAX_RATE)} Hz can be used`);
  }
  if (channels.length > MAX_CHANNELS) throw new Error(`${name}: it has ${channels.length} channels; up to ${MAX_CHANNELS} can be used`);
  if (!channels.length || !channels[0].length) throw new Error(`${name}: empty, it holds no samples`);
  if (channels.some(({ length }) => length !== channels[0].length)) throw new Error(`${name}: its channels have different lengths`);
}

function withoutNonFinite(channels, name, repairs) {
  const lost = channels.map((samples) => samples.reduce((count, value) => count + !(Math.abs(value) <= MAX_MAGNITUDE), 0));
  const count = lost.reduce((a, b) => a + b, 0);
  if (!count) return channels;
  const length = channels[0].length;
  const worst = Math.max(...lost) / length;
  if (worst > MAX_NON_FINITE) {
    throw new Error(`${name}: ${counted(count, "sample")} of ${grouped(channels.length * length)} are NaN, infinite or beyond 2**31, ` +
      `up to ${percent(worst, 1)} of a channel; only ${percent(MAX_NON_FINITE)} may be set to zero`);
  }
  repairs.push(`${counted(count, "NaN or infinite sample")} set to zero`);
  return channels.map((samples) => samples.map((value) => (Math.abs(value) <= MAX_MAGNITUDE ? value : 0)));
}

function peakOf(channels) {
  let peak = 0;
  for (const samples of channels) for (const value of samples) if (Math.abs(value) > peak) peak = Math.abs(value);
  return peak;
}

function twinsOf(channels) {
  const twins = new Map();
  const equal = (a, b) => a.every((value, k) => value === b[k]);
  channels.forEach((samples, later) => {
    const earlier = channels.slice(0, later).findIndex((other) => equal(samples, other));
    if (earlier >= 0) twins.set(later, earlier);
  });
  return twins;
}

function findings({ channels, rate, step, levels, shares }) {
  const found = [];
  const length = channels[0].length;
  const add = (kind, message, share = null, channel = null) => found.push({ kind, message, share, channel });
  if (length / rate < MIN_DURATION_S) {
    add("too_short", `too short: ${(length / rate).toFixed(3)} s, shorter than a wheeze (${MIN_DURATION_S} s)`);
  }
  channels.forEach((samples, k) => {
    const where = channels.length > 1 ? `channel ${k} ` : "";
    const steps = step ? levels[k] / step : 0;
    if (shares[k] >= SILENT_SHARE) add("silent", `${where}silent: ${percent(shares[k])} of the time`, shares[k], k);
    else if (steps > 0 && steps < FEWEST_STEPS) {
      add("quiet", `${where}quiet: half of it moves by ${(2 * steps).toFixed(0)} steps of its format or fewer; record it louder`, null, k);
    }
    const clipped = (clippedSamples(samples, 1) + clippedSamples(samples, -1)) / length;
    if (clipped >= CLIPPED_SHARE) add("clipped", `${where}clipped: ${percent(clipped, 2)} of samples`, clipped, k);
  });
  return found;
}

/**
 * How many samples a limiter has cut at the top, or with `sign` -1 at the bottom.
 *
 * A stretch within eight steps, at most a quarter, of the extreme is clipped if three or more of its samples, and
 * more than half of them, are the extreme itself: a natural peak is a parabola.
 */
function clippedSamples(samples, sign) {
  let top = -Infinity, second = -Infinity, reached = 0, finest = Infinity;
  for (let k = 0; k < samples.length; k += 1) {
    const value = sign * samples[k];
    if (value > top) [second, top, reached] = [top, value, 1];
    else if (value === top) reached += 1;
    else if (value > second) second = value;
    const change = k ? Math.abs(Math.fround(samples[k] - samples[k - 1])) : 0;
    if (change > 0 && change < finest) finest = change;
  }
  if (reached < PLATEAU || top <= 0 || top < 16 * finest) return 0;
  const lowest = Math.fround(top - Math.min(8 * Math.min(top - second, top / 16), top / 4));
  let clipped = 0, hits = 0, length = 0;
  const end = () => {
    if (hits >= PLATEAU && 2 * hits > length) clipped += hits;
    hits = length = 0;
  };
  for (const sample of samples) {
    const value = sign * sample;
    if (value < lowest) end();
    else {
      length += 1;
      hits += value === top;
    }
  }
  end();
  return clipped;
}
