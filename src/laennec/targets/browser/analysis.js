/** What was found, as the JSON of an analysis: format 1, as `laennec analyze --format json` writes it. */

import { rounded } from "./numbers.js";

const FORMAT = 1;
const TIME_DIGITS = 4, PROBABILITY_DIGITS = 6;
const DIGITS = { duration_s: TIME_DIGITS, start_s: TIME_DIGITS, end_s: TIME_DIGITS, edges_hz: 2, values: 3, per_min: 2, sample_rate: 0 };
const DISCLAIMER = "Research software, not a medical device.";

/**
 * @param {object} found {name, length, survey, card, sha256, laennec, kind, record, channel_records, events,
 *   refused_parts, quality, repairs, notes}
 * @returns {object}
 */
export function toJson({ name, length, survey, card, sha256, laennec, kind, quality, repairs, notes, ...found }) {
  return plain({
    format: FORMAT,
    laennec,
    disclaimer: DISCLAIMER,
    recording: { name, duration_s: length / survey.rate, sample_rate: survey.rate, channels: survey.channels.length, quality, repairs },
    patient: { age_years: null, sex: null, position: null },
    model: {
      name: card.name, version: card.version, sha256, labels: card.labels, normal: card.normal,
      data: Object.entries(card.data ?? {}).filter(([, value]) => value).map(([key, value]) => `${key}: ${worded(value)}`).join("; "),
      limits: card.limits ?? "", calibration: null,
    },
    segmentation: {
      kind,
      window_s: kind === "windows" ? card.window_s : null,
      hop_s: kind === "windows" ? Math.min(card.hop_s, card.window_s) : null,
    },
    record: found.record,
    channel_records: found.channel_records,
    events: found.events,
    refused_parts: found.refused_parts,
    notes: [...refusals(found.refused_parts, survey.channels.length), ...notes],
  });
}

function worded(value) {
  return typeof value === "object" ? JSON.stringify(value) : value;
}

/** A copy whose decimals are rounded by the name of their field. */
function plain(value, digits = PROBABILITY_DIGITS) {
  if (typeof value === "number") return Number.isInteger(value) ? value : rounded(value, digits);
  if (Array.isArray(value)) return value.map((each) => plain(each, digits));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each, DIGITS[name] ?? digits)]));
}

function refusals(parts, channels) {
  return parts.map(({ channel, start_s, end_s, refused }) => {
    const of = channels > 1 ? ` of channel ${channel}` : "";
    return `not analysed: ${start_s.toFixed(1)} to ${end_s.toFixed(1)} s${of} (${refused})`;
  });
}
