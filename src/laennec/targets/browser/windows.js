/** A model for clips: windows over a recording, whose probabilities are averaged and merged to events. */

import { extent, extentsOf } from "./level.js";
import { argmax, average, rint } from "./numbers.js";

const SHORTEST_CELL_S = 0.001; // windows meet to the millisecond
const PART_S = 0.05, SILENT_SHARE = 0.5; // of a window, from which it is left out

/**
 * The events of a channel.
 *
 * @param {(clip: Float32Array) => Promise<ArrayLike<number>>} run probabilities of a clip
 * @param {object} card
 * @param {Float32Array} samples at the card's rate
 * @param {number} channel
 * @param {number} silent_range
 * @param {{progress?: (share: number) => void}} [options]
 * @returns {Promise<object[]>} as in the JSON of an analysis, not rounded
 */
export async function eventsOfWindows(run, card, samples, channel, silent_range, { progress } = {}) {
  const rate = card.sample_rate;
  const spans = windowsOf(samples.length / rate, card.window_s, Math.min(card.hop_s, card.window_s));
  const used = [];
  for (const [k, [start_s, end_s]] of spans.entries()) {
    const first = Math.min(Math.max(0, rint(start_s * rate)), samples.length - 1);
    const clip = samples.slice(first, Math.min(Math.max(first + 1, rint(end_s * rate)), samples.length));
    if (!isSilent(clip, rate, silent_range)) used.push({ start_s, end_s, row: Array.from(await run(clip)) });
    progress?.((k + 1) / spans.length);
  }
  return merged(used).map(({ start_s, end_s, row }) => {
    const best = argmax(row);
    const probabilities = Object.fromEntries(card.labels.map((label, k) => [label, row[k]]));
    return {
      channel, start_s, end_s, label: card.labels[best], probability: row[best], probabilities,
      annotated: null, presence: null, uncertain: false, relevance: null,
    };
  });
}

/** Windows without a gap, the last one aligned to the end. */
function windowsOf(duration_s, window_s, hop_s) {
  const last_s = duration_s - window_s;
  const count = Math.ceil(last_s / hop_s - 1e-6);
  if (count < 1) return [[0, duration_s]];
  return [...Array.from({ length: count }, (_, k) => [k * hop_s, k * hop_s + window_s]), [last_s, duration_s]];
}

function isSilent(clip, rate, silent_range) {
  const part = Math.max(1, rint(PART_S * rate));
  const extents = clip.length < part ? [extent(clip)] : extentsOf(clip, part);
  return extents.reduce((count, each) => count + (each <= silent_range), 0) / extents.length >= SILENT_SHARE;
}

/** Cells between the starts and ends of all windows; neighbours of one class become one event. */
function merged(windows) {
  const edges = [];
  const all = windows.flatMap(({ start_s, end_s }) => [start_s, end_s]).map((edge) => Number(edge.toFixed(6)));
  for (const edge of [...new Set(all)].sort((a, b) => a - b)) {
    if (!edges.length || edge - edges.at(-1) >= SHORTEST_CELL_S) edges.push(edge);
  }
  const runs = [];
  edges.slice(1).forEach((end_s, k) => {
    const start_s = edges[k], middle_s = (start_s + end_s) / 2;
    const covering = windows.filter((window) => window.end_s >= middle_s && window.start_s <= middle_s);
    if (!covering.length) return;
    const row = average(covering.map((window) => window.row), covering.map(() => 1));
    const before = runs.at(-1)?.at(-1);
    if (before && before.end_s === start_s && argmax(before.row) === argmax(row)) runs.at(-1).push({ start_s, end_s, row });
    else runs.push([{ start_s, end_s, row }]);
  });
  return runs.map((cells) => ({
    start_s: cells[0].start_s,
    end_s: cells.at(-1).end_s,
    row: average(cells.map(({ row }) => row), cells.map(({ start_s, end_s }) => end_s - start_s)),
  }));
}
