/** What the model says of a recording, in words and small colours, alike in every view. */

import { h } from "./dom.js";
import { sentence } from "./sentences.js";
import { number, text, textOr } from "./text.js";

const MEANINGS = { CAS: "answer.cas", DAS: "answer.das", "CAS & DAS": "answer.both" };

/** Label and meaning: `CAS (continuous sounds: wheeze, rhonchus, stridor)`. */
export function meaning(app, label) {
  const key = MEANINGS[label];
  return key ? `${label} (${text(key)})` : app.label(label).text;
}

/** The label in a word or two: CAS, DAS as they are, others in the page's language. */
export function shortWord(app, label) {
  return label in MEANINGS ? label : app.label(label).text;
}

/** The answer as a sentence, as the command line has it. */
export function answerSentence(app, row) {
  const { record } = row;
  if (row.state !== "done") return text(`list.state.${row.state}`);
  if (!record) return text("answer.none");
  if (record.refused || !record.label) return text("answer.refused", { reason: refusal(record) });
  const parts = [meaning(app, record.label)];
  if (record.probability != null) parts.push(text("answer.probability", { probability: number(record.probability, 2) }));
  if (record.uncertain) parts.push(text("answer.uncertain"));
  return parts.join(", ");
}

/** Why there is no answer. */
export function refusal(record) {
  return record.heard_as ? textOr(`answer.heard.${record.heard_as}`, record.refused) : sentence(record.refused) || text("answer.none");
}

/** A recording's answer in a line: colour, word, probability, and whether it is uncertain. */
export function answerShort(app, record) {
  if (!record) return h("span", { class: "quiet" }, "–");
  if (record.refused || !record.label) return h("span", { class: "answer refused", title: refusal(record) }, text("answer.none_short"), " ", h("span", { class: "quiet" }, refusal(record)));
  const { colour } = app.label(record.label);
  return h("span", { class: "answer", title: meaning(app, record.label) },
    h("span", { class: "swatch", style: { "--colour": colour } }),
    h("strong", {}, shortWord(app, record.label)), " ",
    record.probability != null && h("span", { class: "probability" }, number(record.probability, 2)), " ",
    record.uncertain && h("span", { class: "flag", title: recordDoubt(record.doubt) }, text("answer.uncertain")));
}

/** Why the answer to a recording is uncertain; nothing where that is not known. */
export function recordDoubt(doubt) {
  if (!doubt) return "";
  if (doubt.by === "reason") return sentence(doubt.reason);
  if (doubt.certain_from >= 1) return text("doubt.never");
  return text("doubt.threshold", { certainty: number(doubt.certainty, 2), from: number(doubt.certain_from, 2) });
}

/** Why an event is uncertain: in a word or two, and in a sentence. */
export function eventDoubt(doubt) {
  if (!doubt) return { short: "", long: "" };
  const [certainty, from] = [number(doubt.certainty, 2), number(doubt.certain_from, 2)];
  if (doubt.presence == null) return { short: text("doubt.of_class", { probability: certainty }), long: text("doubt.class_below", { certainty, from }) };
  const short = {
    presence: () => text("doubt.of_presence", { presence: number(doubt.presence, 2) }),
    probability: () => text("doubt.of_class", { probability: number(doubt.probability, 2) }),
    length_s: () => text("doubt.of_length", { length: number(doubt.length_s, 2) }),
  }[doubt.by]();
  return { short, long: text("doubt.hit_below", { certainty, from }) };
}

/** Labels in the order that every view has them in: those of the vocabulary, normal breaths last. */
export function inOrder(app, names) {
  const order = app.labels.events.map(({ name }) => name);
  const place = (label) => (label.adventitious === false ? 1e3 : order.includes(label.name) ? order.indexOf(label.name) : 1e2);
  return names.map((name) => app.label(name)).sort((one, other) => place(one) - place(other));
}

/** Events by class as small coloured counts; normal breaths last and quiet. */
export function eventCounts(app, counts) {
  const labels = inOrder(app, Object.keys(counts));
  return h("span", { class: "counts" }, labels.map((label) =>
    h("span", { class: `count${label.adventitious === false ? " quiet" : ""}`, title: `${label.text}: ${counts[label.name]}` },
      h("span", { class: "swatch", style: { "--colour": label.colour } }), `${label.short} ${counts[label.name]}`)));
}

/** The same in words, for those who do not see it. */
export function countsSentence(app, counts) {
  return inOrder(app, Object.keys(counts)).map((label) => `${counts[label.name]} ${label.text}`).join(", ");
}

/** What is wrong with the sound: the first thing, how many more, and all of it on hovering. */
export function qualityShort(row) {
  if (row.quality.length) {
    const [first, ...more] = row.quality;
    const word = textOr(`quality.${first.kind}`, first.kind.replaceAll("_", " "));
    return h("span", { class: "flag", title: row.quality.map((found) => sentence(found.message)).join("\n") },
      more.length ? `${word} +${more.length}` : word);
  }
  return row.state === "failed" || row.duration_s == null ? "" : h("span", { class: "quiet" }, text("quality.good"));
}
