/** Breaths a minute: from the onsets of events, checked by how soon the sound of a channel repeats itself. */

import { row } from "./frames.js";
import { median, rint, sigmoid } from "./numbers.js";

const SLOWEST_PER_MIN = 6, FASTEST_PER_MIN = 90;
export const SHORTEST_BREATH_S = 60 / FASTEST_PER_MIN;
const LONGEST_BREATH_S = 60 / SLOWEST_PER_MIN;
const FEWEST_INTERVALS = 2, ENOUGH_INTERVALS = 3;
const STEADY = 0.35; // interquartile range over median
const LONGEST_INTERVALS = 1.7; // times the median: a longer one holds a breath that was not found
const SMOOTHING = [0.25, 0.75, 1, 0.75, 0.25].map((weight) => weight / 3);
const ALIKE = 0.2, ALIKE_IF_FEW = 0.4; // correlation of a breath with the next that counts; more of it where few were compared
const CONFIRMS = 0.15, MARGIN = 0.15, FIRST_PEAK = 0.7, PART = 0.25;
const MOST_EVENTS = 3.4; // a breath
const TOLERANCE = 0.15; // within which two periods are the same
const NOTHING = 1e-9;

/**
 * How alike a segment is to itself some time later, by lag in frames.
 *
 * @param {object} frames of the segment, as of `framesOf`
 * @param {object} card
 * @returns {{products: Float64Array, alike: Float64Array, compared: Float64Array}}
 */
export function repetitionOf(frames, card) {
  const classes = card.labels.length, bands = card.edges_hz.length - 1;
  const count = frames.presence.count;
  const presence = Float64Array.from(row(frames.presence, 0), sigmoid);
  const features = Array.from({ length: bands }, (_, band) => {
    const heard = new Float64Array(count);
    for (let label = 0; label < classes; label += 1) {
      row(frames.evidence, label * bands + band).forEach((value, k) => { heard[k] += value; });
    }
    return centred(smoothed(heard.map((sum, k) => (sum / classes) * presence[k])));
  });
  const found = nothing(card.frame_s);
  const power = new Float64Array(count + 1);
  for (let k = 0; k < count; k += 1) power[k + 1] = features.reduce((sum, each) => sum + each[k] ** 2, power[k]);
  const lags = Math.min(found.products.length - 1, count >> 1) + 1;
  for (let lag = 0; lag < lags; lag += 1) {
    for (const each of features) for (let k = lag; k < count; k += 1) found.products[lag] += each[k] * each[k - lag];
    found.alike[lag] = Math.sqrt(power[count - lag] * Math.max(0, power[count] - power[lag]));
    found.compared[lag] = count - lag;
  }
  return found;
}

function smoothed(values) {
  return values.map((_, k) => SMOOTHING.reduce((sum, weight, j) => sum + weight * (values[k + 2 - j] ?? 0), 0));
}

function centred(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

function nothing(frame_s) {
  const zeros = () => new Float64Array(rint(LONGEST_BREATH_S / frame_s) + 1);
  return { products: zeros(), alike: zeros(), compared: zeros() };
}

/** The correlations of all these segments together, and what they tell of a period. */
class Repetition {
  constructor(parts, frame_s) {
    const sum = nothing(frame_s);
    for (const part of parts) for (const name of Object.keys(sum)) part[name].forEach((value, k) => { sum[name][k] += value; });
    this.frame_s = frame_s;
    this.compared = sum.compared;
    this.correlation = sum.products.map((value, k) => (sum.alike[k] > NOTHING ? value / sum.alike[k] : 0));
  }

  /** The highest correlation about a period; 0 beyond the longest. */
  near(period_s) {
    const [first, last] = [-1, 1].map((sign) => rint((period_s * (1 + sign * TOLERANCE)) / this.frame_s));
    if (!(this.compared[first] > 0)) return 0;
    return Math.max(-1, ...this.correlation.subarray(Math.max(1, first), last + 1));
  }

  /** Length of a breath (s) and its correlation with the next: the first peak about as high as the highest; or null. */
  period() {
    const values = this.correlation;
    const peaks = [];
    for (let lag = Math.max(1, rint(SHORTEST_BREATH_S / this.frame_s)); lag < values.length - 1; lag += 1) {
      const breaths = this.compared[lag] / lag;
      const is_peak = values[lag] >= values[lag - 1] && values[lag] > values[lag + 1];
      if (is_peak && values[lag] * breaths >= ALIKE * breaths + ALIKE_IF_FEW) peaks.push(lag);
    }
    if (!peaks.length) return null;
    const highest = Math.max(...peaks.map((lag) => values[lag]));
    const lag = peaks.find((each) => values[each] >= FIRST_PEAK * highest);
    const [before, here, after] = values.subarray(lag - 1, lag + 2);
    const bend = before - 2 * here + after; // the top of the parabola through three points
    return { period_s: (lag + (bend ? (0.5 * (before - after)) / bend : 0)) * this.frame_s, alike: here };
  }
}

/** Onsets (s) of breaths: an event of another label soon after a breath's onset is a part of that breath. */
export function breathOnsets(events) {
  const onsets = [];
  let before = "";
  for (const { start_s, label } of events) {
    if (!onsets.length || label === before || start_s - onsets.at(-1) >= SHORTEST_BREATH_S) onsets.push(start_s);
    before = label;
  }
  return onsets;
}

function rateOfOnsets(onsets_s) {
  const intervals = onsets_s.slice(1).map((onset, k) => onset - onsets_s[k]);
  const none = (reason, breaths) => ({ per_min: null, quality: "none", reason, breaths });
  if (intervals.length < FEWEST_INTERVALS) {
    const is_one = onsets_s.length === 1;
    return none(is_one ? "1 breath is too few" : `${onsets_s.length} breaths are too few`, intervals.length);
  }
  const usual = median(intervals);
  const kept = intervals.filter((each) => each <= LONGEST_INTERVALS * usual).sort((a, b) => a - b);
  const typical = median(kept);
  const per_min = typical > 0 ? 60 / typical : Infinity;
  if (!(per_min >= SLOWEST_PER_MIN && per_min <= FASTEST_PER_MIN)) {
    return none(`${per_min.toFixed(0)} a minute is no rate of breathing`, kept.length);
  }
  const spread = (kept[Math.floor((3 * kept.length) / 4)] - kept[Math.floor(kept.length / 4)]) / typical;
  let [quality, reason] = ["good", `${kept.length} steady intervals`];
  if (kept.length < ENOUGH_INTERVALS) [quality, reason] = ["doubtful", `it rests on ${kept.length} intervals`];
  else if (spread > STEADY) [quality, reason] = ["doubtful", `intervals vary by ${(100 * spread).toFixed(0)} % of their median`];
  return { per_min: tenths(per_min), quality, reason, breaths: kept.length };
}

const tenths = (value) => Number(value.toFixed(1));

/**
 * Breaths a minute of a channel.
 *
 * @param {number[]} onsets_s of `breathOnsets`
 * @param {object[]} parts of `repetitionOf`, of the segments that were not refused
 * @param {number} frame_s
 * @returns {{per_min: number|null, quality: string, reason: string, breaths: number}}
 */
export function respiratoryRate(onsets_s, parts, frame_s) {
  const onsets = rateOfOnsets(onsets_s);
  if (onsets.breaths < FEWEST_INTERVALS) return onsets;
  const sound = new Repetition(parts, frame_s);
  const found = sound.period();
  if (!found) return withoutPeriod(onsets, sound);
  const { period_s, alike } = found;
  const per_min = 60 / period_s;
  const none = (reason) => ({ per_min: null, quality: "none", reason, breaths: onsets.breaths });
  if (sound.near(2 * period_s) > alike + MARGIN) {
    return none(`whole breaths or halves of them: ${(per_min / 2).toFixed(0)} or ${per_min.toFixed(0)} a minute`);
  }
  if (onsets.per_min !== null && Math.abs(onsets.per_min / per_min - 1) <= TOLERANCE) {
    return onsets.quality === "good" ? onsets : ofSound(period_s, "as often as events begin", onsets);
  }
  if (onsets.per_min === null) return { ...onsets, per_min: tenths(per_min), quality: "doubtful" };
  const clear = alike > sound.near(60 / onsets.per_min) + MARGIN;
  const whole = Math.max(sound.near(period_s / 2), sound.near(period_s / 3)) <= PART * alike;
  if (clear && whole && onsets.per_min <= MOST_EVENTS * per_min) {
    return ofSound(period_s, onsets.per_min > per_min ? "events begin more often" : "", onsets);
  }
  return none(`events begin ${onsets.per_min.toFixed(0)} times a minute, their sound repeats itself ${per_min.toFixed(0)} times`);
}

/** Where the sound has no clear period: not surer than the sound allows. */
function withoutPeriod(onsets, sound) {
  if (onsets.quality !== "good" || onsets.per_min === null) return onsets;
  const period_s = 60 / onsets.per_min;
  const alike = sound.near(period_s);
  if (alike >= CONFIRMS && sound.near(2 * period_s) <= alike + MARGIN) return onsets;
  return { ...onsets, quality: "doubtful", reason: `${onsets.reason}, but what is heard does not repeat itself with them` };
}

function ofSound(period_s, remark, onsets) {
  const reason = `its sound repeats itself every ${period_s.toFixed(1)} s${remark && `; ${remark}`}`;
  return { per_min: tenths(60 / period_s), quality: "good", reason, breaths: onsets.breaths };
}
