/** Breaths a minute, from the onsets of events. */

import { median } from "./numbers.js";

const SLOWEST_PER_MIN = 6, FASTEST_PER_MIN = 90;
const SHORTEST_BREATH_S = 60 / FASTEST_PER_MIN;
const FEWEST_INTERVALS = 2, ENOUGH_INTERVALS = 3;
const STEADY = 0.35; // interquartile range over median
const LONGEST_INTERVALS = 1.7; // times the median: a longer one holds a breath that was not found

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

/** @returns {{per_min: number|null, quality: string, reason: string, breaths: number}} */
export function respiratoryRate(onsets_s) {
  const intervals = onsets_s.slice(1).map((onset, k) => onset - onsets_s[k]);
  const none = (reason, breaths) => ({ per_min: null, quality: "none", reason, breaths });
  if (intervals.length < FEWEST_INTERVALS) return none(`${onsets_s.length} breaths are too few`, intervals.length);
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
  return { per_min: Number(per_min.toFixed(1)), quality, reason, breaths: kept.length };
}
