/** Segments of 15 s, their answers and refusals, and the answer for a channel and for a recording. */

import { EVENT_FAMILY } from "./events.js";
import { classLogits, cut, row } from "./frames.js";
import { argmax, average, calibrated, counted, logOdds, median, percent, rint, sigmoid, softmax } from "./numbers.js";
import { breathOnsets, repetitionOf, respiratoryRate } from "./rate.js";

const SEGMENT_S = 15, SHORTEST_SEGMENT_S = 5; // a shorter rest belongs to the segment before
const SILENT_SHARE = 0.5; // of the frames, from which a segment is refused
const LOUD_DB = 30, LOUD_SHARE = 0.02; // above the median; share from which contact noise is named
const SPOILED_SHARE = 0.01; // of the samples clipped, from which no answer is certain
const EVIDENCE = 4, EVIDENCE_FRAMES = 5, LITTLE_EVIDENCE = 1e-4;
const FAMILIES = ["CAS", "DAS"];
const NORMAL = "Normal", POOR_QUALITY = "Poor Quality";

/**
 * The segments of a channel.
 *
 * @param {object} frames as of `framesOf`
 * @param {object} card
 * @param {number} silent_range extent up to which a frame is silent
 * @returns {object[]} {start_s, end_s, probabilities, sound_classes, loud, refused, heard_as, repetition}
 */
export function segmentsOf(frames, card, silent_range) {
  const [length, rest] = [SEGMENT_S, SHORTEST_SEGMENT_S].map((seconds) => rint(seconds / card.frame_s));
  const found = [];
  for (let first = 0; first < frames.count;) {
    const end = frames.count - first >= length + rest ? first + length : frames.count;
    const at = (k) => Math.min(k * card.frame_s, frames.end_s);
    found.push({ start_s: at(first), end_s: at(end), ...predicted(cut(frames, first, end), card, silent_range) });
    first = end;
  }
  return found;
}

function predicted(frames, card, silent_range) {
  const labels = card.records.length;
  const logits = card.records.map((_, k) => {
    const values = row(frames.record, labels + k);
    return softmax(row(frames.record, k)).reduce((sum, weight, frame) => sum + weight * values[frame], 0);
  });
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const patterns = card.patterns.length ? card.patterns : card.kinds;
  const shares = softmax(patterns.map((_, k) => mean(row(frames.kind, k))));
  const sound_classes = card.kinds.map((kind) =>
    shares.reduce((sum, value, k) => sum + (patterns[k] === kind ? value : 0), 0));
  const share = (values, holds) => values.reduce((count, value) => count + holds(value), 0) / values.length;
  const heard = frames.level_db.data.filter((_, k) => frames.extent.data[k] > silent_range);
  const usual_db = heard.length ? median(heard) : Infinity;
  return {
    probabilities: withEvidence(calibrated(logits, card.record_temperature, card.record_bias), frames, card),
    sound_classes,
    loud: share(frames.level_db.data, (value) => value > usual_db + LOUD_DB),
    repetition: repetitionOf(frames, card),
    ...refusal(share(frames.extent.data, (value) => value <= silent_range), sound_classes, card),
  };
}

function refusal(silent, sound_classes, card) {
  if (silent >= SILENT_SHARE) return { refused: "silent or mostly so", heard_as: null };
  if (sound_classes[0] >= card.lung_share) return { refused: null, heard_as: null };
  const heard_as = card.kinds[1 + argmax(sound_classes.slice(1))];
  return { refused: `sounds like ${heard_as}, not like a lung`, heard_as };
}

/** Probabilities of the record labels with what the frames say of the families of sounds. */
function withEvidence(probabilities, frames, card) {
  if (!card.record_evidence.length) return probabilities;
  const evidence = familyEvidence(frames, card.labels);
  return softmax(probabilities.map((value, k) => FAMILIES.reduce((sum, family, i) => {
    const holds = card.records[k].split(" & ").includes(family);
    return sum + (holds ? card.record_evidence[i] * evidence[i] : 0);
  }, Math.log(Math.max(value, 1e-300)))));
}

/** Log-odds that continuous, and that discontinuous sounds are among frames: linear softmax pooling. */
function familyEvidence(frames, labels) {
  const logits = classLogits(frames, labels.length);
  const presence = row(frames.presence, 0);
  const count = presence.length, reach = EVIDENCE_FRAMES >> 1;
  const there = FAMILIES.map(() => new Float64Array(count));
  for (let frame = 0; frame < count; frame += 1) {
    const shares = softmax(logits.map((each) => each[frame]));
    FAMILIES.forEach((family, i) => {
      const share = shares.reduce((sum, value, k) => sum + (EVENT_FAMILY[labels[k]].includes(family) ? value : 0), 0);
      there[i][frame] = share * sigmoid(presence[frame]);
    });
  }
  return there.map((values) => {
    let sum = 0, squares = 0;
    for (let frame = 0; frame < count; frame += 1) {
      const [from, to] = [Math.max(0, frame - reach), Math.min(count, frame + reach + 1)];
      let around = 0;
      for (let k = from; k < to; k += 1) around += values[k];
      around /= to - from;
      sum += around;
      squares += around * around;
    }
    return logOdds(squares / (sum + LITTLE_EVIDENCE), EVIDENCE);
  });
}

/** The events whose middle lies in no refused segment. */
export function withoutRefused(events, segments) {
  return events.filter(({ start_s, end_s }) => {
    const home = segments.findLastIndex((segment) => segment.start_s <= (start_s + end_s) / 2);
    return !segments[Math.max(0, home)].refused;
  });
}

/** Share of the time that is far louder than the rest of its segment. */
export function contactNoise(segments) {
  const [share] = average(segments.map(({ loud }) => [loud]), segments.map(lengthOf));
  return share >= LOUD_SHARE ? { share, message: `contact noise: ${percent(share, 1)
    .replace("%", " %")} of it is ${LOUD_DB} dB louder than the rest` } : null;
}

const lengthOf = ({ start_s, end_s }) => Math.max(1e-3, end_s - start_s);

/**
 * The answer for a channel: the mean of its segments that were not refused, by their lengths.
 *
 * @param {object} card
 * @param {{number: number, events: object[], segments: object[]}} channel
 * @param {object[]} quality findings of the recording
 * @param {?number} total number of events of all channels, where there are several
 * @returns {object} as in the JSON of an analysis, not rounded
 */
export function answerOf(card, { number, events, segments }, quality, total = null) {
  const lengths = segments.map(lengthOf);
  const mean = average(segments.map(({ sound_classes }) => sound_classes), lengths);
  const kinds = Object.fromEntries(card.kinds.map((kind, k) => [kind, mean[k]]));
  const lost_s = segments.reduce((sum, { refused }, k) => sum + (refused ? lengths[k] : 0), 0);
  const none = { channel: number, label: null, probability: null, probabilities: {}, uncertain: false, refused: null, reasons: [], kinds, rate: null, heard_as: null };
  if (lost_s > 0.5 * lengths.reduce((a, b) => a + b, 0)) return { ...none, ...commonest(segments) };
  const used = segments.flatMap((segment, k) => (segment.refused ? [] : [[segment.probabilities, lengths[k]]]));
  const probabilities = average(used.map(([each]) => each), used.map(([, weight]) => weight));
  const best = argmax(probabilities);
  const doubts = [...eventDoubts(card.records[best], events, card.normal), ...spoiled(quality, number)];
  return {
    ...none,
    label: card.records[best],
    probability: probabilities[best],
    probabilities: Object.fromEntries(card.records.map((label, k) => [label, probabilities[k]])),
    uncertain: doubts.length > 0 || !isCertain(probabilities, card),
    reasons: [...reasons(card, events, segments, number, total), ...doubts],
    rate: respiratoryRate(breathOnsets(events), segments.filter(({ refused }) => !refused).map(({ repetition }) => repetition), card.frame_s),
  };
}

/** Why most segments were refused; of equally many, the first reason. */
function commonest(segments) {
  const counts = new Map();
  for (const { refused, heard_as } of segments) {
    if (!refused) continue;
    const found = counts.get(refused) ?? { refused, heard_as, count: 0 };
    found.count += 1;
    counts.set(refused, found);
  }
  const { refused, heard_as } = [...counts.values()].reduce((a, b) => (b.count > a.count ? b : a));
  return { refused, heard_as };
}

function isCertain(probabilities, card) {
  const best = argmax(probabilities), label = card.records[best];
  const is_sick = (name) => name !== NORMAL && name !== POOR_QUALITY;
  const threshold = label === NORMAL ? card.normal_certain : is_sick(label) ? card.sick_certain : null;
  if (threshold == null) return probabilities[best] >= card.record_certain;
  const together = probabilities.reduce((sum, value, k) => sum + (is_sick(card.records[k]) ? value : 0), 0);
  return (is_sick(label) ? together : probabilities[best]) >= threshold && threshold < 1;
}

function* eventDoubts(label, events, normal) {
  const adventitious = events.filter((event) => event.label !== normal);
  const sure = adventitious.filter((event) => !event.uncertain).length;
  if (!events.length) yield "no respiratory event was found";
  else if (label === NORMAL) {
    if (sure) yield `its events say otherwise: ${sure} of them adventitious without being uncertain`;
  } else if (label !== POOR_QUALITY && !adventitious.length) yield "its events say otherwise: none of them is adventitious";
}

function spoiled(quality, channel) {
  return quality.filter((finding) => finding.kind === "clipped" && finding.channel === channel && finding.share >= SPOILED_SHARE)
    .map(({ share }) => `${percent(share)} of its samples are clipped`);
}

function* reasons(card, events, segments, number, total) {
  const unsure = events.filter((event) => event.uncertain).length;
  const end = unsure ? `; ${unsure} uncertain` : "";
  const count = (label) => events.filter((event) => event.label === label).length;
  const found = total === null ? `${counted(events.length, "event")} found`
    : `${counted(total, "event")} found, ${events.length} of them on channel ${number}`;
  if (events.length && total === null && count(card.normal) === events.length) yield `${found}, all of them normal${end}`;
  else if (events.length) {
    const parts = card.labels.filter(count).map((label) => `${count(label)} ${label}`);
    yield `${found}: ${parts.join(", ")}${end}`;
  }
  if (segments.length > 1) {
    const counts = new Map();
    for (const { refused, probabilities } of segments) {
      const said = refused ? `refused (${refused})` : card.records[argmax(probabilities)];
      counts.set(said, (counts.get(said) ?? 0) + 1);
    }
    const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([said, times]) => `${times} ${said}`);
    yield `of ${segments.length} stretches of about ${SEGMENT_S} s: ${parts.join(", ")}`;
  }
  const noise = contactNoise(segments);
  if (noise) yield noise.message;
}

/** Neighbouring refused segments of one reason, as one part each. */
export function refusedParts({ number, segments }) {
  const parts = [];
  segments.forEach(({ start_s, end_s, refused, heard_as }, k) => {
    const before = k && segments[k - 1];
    if (!refused) return;
    if (before && before.refused === refused && before.heard_as === heard_as) parts.at(-1).end_s = end_s;
    else parts.push({ channel: number, start_s, end_s, refused, heard_as });
  });
  return parts;
}

/** One answer for all channels: that of the one that is least likely normal; poor quality only where all are poor. */
export function combined(answers) {
  const usable = answers.filter(({ refused }) => !refused);
  if (!usable.length) return answers.find(({ heard_as }) => heard_as) ?? answers[0] ?? null;
  const clear = usable.filter(({ label }) => label !== POOR_QUALITY);
  const normal = ({ probabilities }) => probabilities[NORMAL] ?? 0;
  return (clear.length ? clear : usable).reduce((a, b) => (normal(b) < normal(a) ? b : a));
}
