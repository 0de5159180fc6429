/** Frames become events: the highest-scoring sequence of pauses and events, and the class of each. */

import { classLogits, cut, row } from "./frames.js";
import { argmax, calibrated, logOdds, rint, sigmoid } from "./numbers.js";

const PAUSE = -1, GO_ON = -2, FIRST = 10; // states of a path that are no family; what marks an event's first frame
const LONGEST_EVENT_S = 10;
const MAPS_S = 600; // of a longer recording no relevance is kept
const SUREST = 7; // log-odds, beyond which they say no more
/** Which sounds a label names. */
export const EVENT_FAMILY = {
  Normal: "Normal", Rhonchi: "CAS", Wheeze: "CAS", Stridor: "CAS", "Coarse Crackle": "DAS", "Fine Crackle": "DAS",
  "Wheeze+Crackle": "CAS & DAS",
};
const FAMILIES = { Normal: 0, CAS: 1, DAS: 2, "CAS & DAS": 2 };

/**
 * The events of a channel.
 *
 * @param {object} frames as of `framesOf`
 * @param {object} card
 * @param {number} channel
 * @returns {object[]} as in the JSON of an analysis, not rounded
 */
export function eventsOf(frames, card, channel) {
  return spansOf(frames, card).map(([first, end]) => classified(frames, first, end, card, channel));
}

/** First frame and the one after the last of each event. */
export function spansOf(frames, card) {
  const { rule, labels, frame_s } = card;
  const presence = [0, 1, 2].map((k) => row(frames.presence, k));
  const scores = emissionScores(presence[0], classLogits(frames, labels.length), labels, rule);
  const path = bestPath(scores, edgeScores(presence[1], rule), edgeScores(presence[2], rule));
  return eventsOfPath(path, rule.shortest_s, frame_s);
}

function emissionScores(presence, classes, labels, rule) {
  const family = labels.map((label) => FAMILIES[EVENT_FAMILY[label]]);
  return Array.from(presence, (here, frame) => {
    const best = [-Infinity, -Infinity, -Infinity];
    classes.forEach((logits, k) => { best[family[k]] = Math.max(best[family[k]], logits[frame]); });
    const inFamily = (k) => {
      const others = Math.max(...best.filter((_, other) => other !== k));
      return rule.class_weight * (best[k] - (Number.isFinite(others) ? others : 0)) + rule.class_presence * here - rule.class_bias;
    };
    return [here - rule.bias, inFamily(1), inFamily(2)];
  });
}

/** Scores of an edge before each frame, and after the last: the higher logit of both neighbours counts. */
function edgeScores(logits, rule) {
  const at = (k) => logits[Math.max(0, Math.min(logits.length - 1, k))];
  return Array.from({ length: logits.length + 1 }, (_, k) => rule.edge_weight * Math.max(at(k - 1), at(k)) - rule.edge_cost);
}

/** Viterbi's algorithm: PAUSE or the family of the event in each frame, FIRST more where one begins. */
function bestPath(scores, begins, ends) {
  let pause = 0, inside = [-Infinity, -Infinity, -Infinity];
  const came_from = scores.map((here, frame) => {
    const best = argmax(inside);
    const stopped = inside[best] + ends[frame];
    const source = pause >= stopped ? PAUSE : best;
    pause = Math.max(pause, stopped);
    const fresh = pause + begins[frame];
    const from = inside.map((value) => (value >= fresh ? GO_ON : source));
    inside = inside.map((value, k) => Math.max(value, fresh) + here[k]);
    return { from, source };
  });
  const best = argmax(inside);
  let state = inside[best] + ends[scores.length] > pause ? best : PAUSE;
  const path = new Int8Array(scores.length).fill(PAUSE);
  for (let frame = scores.length - 1; frame >= 0; frame -= 1) {
    const source = state === PAUSE ? came_from[frame].source : came_from[frame].from[state];
    if (state === PAUSE) state = source;
    else if (source === GO_ON) path[frame] = state;
    else {
      path[frame] = state + FIRST;
      state = source;
    }
  }
  return path;
}

/** Events of a path; one that is too short is dropped, one that is too long is cut into equal parts. */
function eventsOfPath(path, shortest_s, frame_s) {
  const found = [];
  for (let first = 0; first < path.length; first += 1) {
    if (path[first] < FIRST) continue;
    let end = first + 1;
    while (end < path.length && path[end] !== PAUSE && path[end] < FIRST) end += 1;
    if ((end - first) * frame_s < shortest_s - 1e-9) continue;
    const parts = Math.ceil(((end - first) * frame_s) / LONGEST_EVENT_S);
    const edge = (k) => rint(first + (k * (end - first)) / parts);
    for (let k = 0; k < parts; k += 1) found.push([edge(k), edge(k + 1)]);
  }
  return found;
}

function classified(frames, first, end, card, channel) {
  const inside = cut(frames, first, end);
  const count = end - first;
  const bands = card.edges_hz.length - 1;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const logits = card.labels.map((_, k) =>
    mean(inside.evidence.data.subarray(k * bands * count, (k + 1) * bands * count)) + mean(row(inside.context, k)));
  const probabilities = calibrated(logits, card.event_temperature, card.event_bias);
  const best = argmax(probabilities);
  const presence = mean(Float64Array.from(row(inside.presence, 0), sigmoid));
  const start_s = first * card.frame_s, end_s = Math.min(end * card.frame_s, frames.end_s);
  return {
    channel, start_s, end_s,
    label: card.labels[best],
    probability: probabilities[best],
    probabilities: Object.fromEntries(card.labels.map((label, k) => [label, probabilities[k]])),
    annotated: null,
    presence,
    uncertain: isUncertain(probabilities[best], presence, end_s - start_s, card),
    relevance: frames.end_s <= MAPS_S ? relevance(inside.evidence, best, first, end, card) : null,
  };
}

function isUncertain(probability, presence, length_s, card) {
  if (!card.event_presence.length) return probability < card.event_certain;
  const [constant, ...weights] = card.event_presence;
  const features = [logOdds(presence, SUREST), logOdds(probability, SUREST), Math.log(Math.max(length_s, 1e-3))];
  return sigmoid(constant + weights.reduce((sum, weight, k) => sum + weight * features[k], 0)) < card.hit_certain;
}

/** The evidence for a class against the mean of the others, as a share of the largest. */
function relevance({ data, count }, best, first, end, card) {
  const classes = card.labels.length, bands = card.edges_hz.length - 1;
  const at = (label, band, k) => data[(label * bands + band) * count + k];
  const values = Array.from({ length: bands }, (_, band) => Array.from({ length: count }, (_, k) => {
    let others = 0;
    for (let label = 0; label < classes; label += 1) if (label !== best) others += at(label, band, k);
    return Math.max(0, at(best, band, k) - others / (classes - 1));
  }));
  const most = Math.max(1e-9, ...values.flat());
  return {
    start_s: first * card.frame_s, end_s: end * card.frame_s, edges_hz: card.edges_hz,
    values: values.map((each) => each.map((value) => value / most)),
  };
}
