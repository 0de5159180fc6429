/** What a model says of itself: the JSON beside it, with what stands where an entry is missing. */

const FORMAT = 1;
const PHASES = 4, LEVEL = 2 ** -8;
const DEFAULT_RULE = { bias: 0, edge_weight: 1, edge_cost: -1, class_weight: 0.3, class_presence: 0.3, class_bias: 0.6, shortest_s: 0.25 };
const COMMON = ["name", "version", "labels", "normal", "sample_rate"];
const NEEDED = {
  recording: ["records", "kinds", "frame_samples", "reach_frames", "edges_hz", "rule", "event_temperature",
    "record_temperature", "event_certain", "record_certain", "lung_share"],
  clip: ["clip_samples", "padding", "sexes", "positions", "window_s", "hop_s"],
};
const RECORDING_DEFAULTS = {
  level: LEVEL, phases: PHASES, event_bias: [], record_bias: [], event_presence: [], hit_certain: 0, record_evidence: [],
  normal_certain: null, sick_certain: null, patterns: [],
};

/**
 * @param {object} given the model's metadata, of `format` 1
 * @returns {object} its entries, with defaults where they may be missing
 * @throws {Error} where it is no such card
 */
export function readCard(given) {
  if (given?.format !== FORMAT) {
    throw new Error(`the model's JSON is of format ${given?.format}; this program reads format ${FORMAT}`);
  }
  const of_recordings = given.task === "recording";
  const missing = [...COMMON, ...NEEDED[of_recordings ? "recording" : "clip"]].find((name) => given[name] == null);
  if (missing) throw new Error(`the model's JSON has no entry ${missing}`);
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value != null));
  if (!of_recordings) return { uses_metadata: true, ...present };
  const card = { ...RECORDING_DEFAULTS, ...present, rule: { ...DEFAULT_RULE, ...given.rule } };
  return { ...card, frame_s: card.frame_samples / card.sample_rate };
}
