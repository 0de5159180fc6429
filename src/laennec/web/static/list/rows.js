/** Which recordings are shown, and in which order. No element is made here. */

/** What is asked for; kept while other views are shown. */
export const asked = {
  search: "", patient: "", position: "", answer: "", uncertain: false, unreviewed: false,
  sort: "name", descending: false,
};

const UNKNOWN = "?"; // a filter's value for what is not known
const RANKS = { failed: 0, running: 1, waiting: 2, cancelled: 3, done: 4 };
const collators = new Map();

function collator(language) {
  if (!collators.has(language)) collators.set(language, new Intl.Collator(language, { numeric: true, sensitivity: "base" }));
  return collators.get(language);
}

/** What the column of a row is sorted by; null and undefined come last. */
export const SORTED_BY = {
  name: (row) => row.name,
  patient: (row) => row.patient,
  age_years: (row) => row.age_years,
  sex: (row) => row.sex,
  position: (row) => row.position,
  duration_s: (row) => row.duration_s,
  // By state, then by label, then the surest first.
  answer: (row) => `${RANKS[row.state]} ${row.record?.label ?? "~"} ${(1 - (row.record?.probability ?? 0)).toFixed(4)}`,
  events: (row) => row.least_certain,
  quality: (row) => (row.quality.length ? -row.quality.length : null),
  reviewed: (row) => row.reviewed.join(", ") || null,
};

/** The rows that are asked for, in the order that is asked for. */
export function selected(rows, reader, language) {
  const words = asked.search.toLowerCase().split(/\s+/).filter(Boolean);
  const patient = asked.patient.trim().toLowerCase();
  // While a name is typed, everybody whose name begins so.
  const isWhole = rows.some((row) => (row.patient ?? UNKNOWN).toLowerCase() === patient);
  const isPatient = (name) => (isWhole ? name === patient : name.startsWith(patient));
  const found = rows.filter((row) => isPatient((row.patient ?? UNKNOWN).toLowerCase()) && matches(row, words, reader));
  const key = SORTED_BY[asked.sort];
  const compare = collator(language).compare;
  const sign = asked.descending ? -1 : 1;
  const keyed = found.map((row) => ({ row, key: key(row) }));
  keyed.sort((one, other) => order(one.key, other.key, compare, sign) || Number(one.row.id) - Number(other.row.id));
  return keyed.map((each) => each.row);
}

function order(one, other, compare, sign) {
  if (one == null || other == null) return (one == null) - (other == null);
  return sign * (typeof one === "number" ? one - other : compare(one, other));
}

function matches(row, words, reader) {
  if (asked.position && (row.position ?? UNKNOWN) !== asked.position) return false;
  if (asked.answer && answerOf(row) !== asked.answer) return false;
  if (asked.uncertain && !row.record?.uncertain) return false;
  if (asked.unreviewed && isReviewed(row, reader)) return false;
  if (!words.length) return true;
  const text = [row.name, row.path, row.patient, row.position, row.device, row.record?.label, row.error].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Whether the file of a recording cannot be read at all, so that there is nothing to see or to review. */
export function isUnreadable(row) {
  return row.state === "failed" && row.duration_s == null;
}

/** Whether the reader, or where nobody is chosen anybody, is done with a recording. */
export function isReviewed(row, reader) {
  return reader ? row.reviewed.includes(reader) : row.reviewed.length > 0;
}

/** The answer as the filter has it: a label, `refused`, or the state of what has no answer. */
export function answerOf(row) {
  if (row.state !== "done") return `state:${row.state}`;
  if (!row.record) return "none";
  return row.record.refused || !row.record.label ? "refused" : row.record.label;
}

/** The values that occur, for the filters. */
export function values(rows, of, language) {
  return [...new Set(rows.map(of).map((value) => value ?? UNKNOWN))].sort(collator(language).compare);
}

/** Whether anything is asked for that hides rows. */
export function isFiltered() {
  return Boolean(asked.search || asked.patient || asked.position || asked.answer || asked.uncertain || asked.unreviewed);
}

/** Ask for all rows. */
export function askForAll() {
  Object.assign(asked, { search: "", patient: "", position: "", answer: "", uncertain: false, unreviewed: false });
}
