/** The head of a recording: name, patient, answer with its reasons, quality; and what else is known of it. */

import { inOrder, meaning, recordDoubt, refusal, shortWord } from "../answer.js";
import { button, h } from "../dom.js";
import { placeName } from "../list/cells.js";
import { isUnreadable } from "../list/rows.js";
import { sentence } from "../sentences.js";
import { duration, number, percent, text, textOr } from "../text.js";

/** Name, facts and answer; `act(kind)` is asked to `analyze` or to `cancel`. */
export function head(app, row, { act }) {
  return [
    h("div", { class: "row" },
      h("a", { class: "back", href: "#/" }, text("app.to_list")),
      h("h1", {}, row.name),
      h("span", { class: "gap" }),
      h("span", { class: "row screen" }, actions(row, act))),
    h("p", { class: "quiet recording-facts" }, facts(row).flatMap((fact, k) => (k ? [" · ", fact] : [fact]))),
    h("div", { class: "recording-answer", role: "status" }, answer(app, row)),
    row.quality.length > 0 && h("ul", { class: "recording-quality" }, row.quality.map(({ message }) => h("li", {}, sentence(message)))),
  ];
}

function actions(row, act) {
  const busy = row.state === "running" || row.state === "waiting";
  return busy
    ? button(text("recording.cancel"), () => act("cancel"))
    : button(text("recording.again"), () => act("analyze"));
}

function facts(row) {
  const channels = row.channels > 1 && text("recording.channels", { count: row.channels });
  const patient = row.patient
    ? h("a", { href: `#/patient/${encodeURIComponent(row.patient)}` }, text("recording.patient", { patient: row.patient }))
    : text("recording.no_patient");
  return [
    patient,
    row.age_years != null && text("recording.years", { years: row.age_years }),
    row.sex && textOr(`sex.${row.sex}`, row.sex),
    row.position && placeName(row.position),
    row.duration_s != null && duration(row.duration_s),
    row.sample_rate && text("recording.rate", { rate: row.sample_rate }),
    channels,
    row.device,
  ].filter(Boolean);
}

function answer(app, row) {
  switch (row.state) {
    case "running":
      return [h("progress", { max: "1", value: row.progress, "aria-label": text("list.state.running") }),
        h("span", { class: "quiet" }, text("recording.running", { share: percent(row.progress) }))];
    case "waiting": return h("span", { class: "quiet" }, text("list.state.waiting"));
    case "cancelled": return h("span", { class: "quiet" }, text("list.state.cancelled"));
    case "failed": return [h("p", { class: "verdict" }, h("strong", {}, text("recording.not_analysed"))),
      h("p", { class: "notice error" }, sentence(row.error)),
      h("p", { class: "small" }, text(isUnreadable(row) ? "recording.add_a_copy" : "recording.mark_by_hand"))];
    default: return [row.error && h("p", { class: "notice warn" }, sentence(row.error)),
      row.record ? said(app, row) : h("span", { class: "quiet" }, text("answer.none"))];
  }
}

function said(app, row) {
  const record = { ...row.record, ...row.analysis?.record, doubt: row.doubts?.record ?? row.record.doubt };
  const refused = record.refused || !record.label;
  const rate = record.rate;
  const shares = Object.entries(record.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  return [
    h("p", { class: "verdict" }, refused ? [h("strong", {}, text("answer.refused", { reason: refusal(record) }))]
      : inWords(app, record)),
    refused && h("p", {}, text(record.heard_as ? "recording.any_sound" : "recording.record_again")),
    record.reasons?.length > 0 && h("ul", { class: "reasons" }, record.reasons.map((reason) => h("li", {}, sentence(inOneOrder(app, reason))))),
    shares.length > 0 && h("p", { class: "quiet small" }, text("recording.all_answers"), " ",
      shares.map(([label, share]) => `${shortWord(app, label)} ${number(share, 2)}`).join(", ")),
    rate && h("p", { class: "small" }, rateInWords(rate)),
  ];
}

/** A reason that counts events has them in the order that the list has. */
function inOneOrder(app, reason) {
  const [, before, counts, after] = /^(\d+ events? (?:found|given): )(.+?)(; \d+ uncertain)?$/.exec(reason) ?? [];
  if (!counts) return reason;
  const parts = new Map(counts.split(", ").map((part) => [part.replace(/^\d+ /, ""), part]));
  return [before, inOrder(app, [...parts.keys()]).map(({ name }) => parts.get(name)).join(", "), after].join("");
}

function inWords(app, record) {
  const { colour } = app.label(record.label);
  const sure = record.probability != null && text("recording.probability", { probability: number(record.probability, 2) });
  return [
    h("span", { class: "swatch", style: { "--colour": colour } }), " ",
    h("strong", {}, meaning(app, record.label)),
    sure && h("span", { class: "quiet" }, `, ${sure}`),
    record.uncertain && [" ", h("span", { class: "flag" }, text("answer.uncertain")), " ", h("span", { class: "quiet" }, recordDoubt(record.doubt))],
  ];
}

function rateInWords(rate) {
  const good = rate.per_min != null && rate.quality === "good";
  const value = good ? text("recording.per_min", { rate: Math.round(rate.per_min) }) : text("recording.rate_not_known");
  return `${text("recording.respiratory_rate")}: ${value} (${sentence(rate.reason)})`;
}

/** Repairs, notes and model: below everything. */
export function details(row) {
  const { analysis } = row;
  if (!analysis) return [];
  const lists = [["recording.repairs", analysis.recording.repairs], ["recording.notes", analysis.notes]];
  const { model } = analysis;
  return h("details", {}, h("summary", {}, text("recording.details")),
    lists.map(([key, lines]) => lines.length > 0 && [h("h2", {}, text(key)), h("ul", {}, lines.map((line) => h("li", {}, sentence(line))))]),
    h("h2", {}, text("app.model")),
    h("p", {}, `${model.name} ${model.version ?? ""} `, h("span", { class: "mono quiet" }, model.sha256.slice(0, 12))),
    model.calibration && h("p", {}, text("recording.calibrated", { name: model.calibration.name, patients: model.calibration.patients })),
    model.data && h("p", { class: "quiet", lang: "en" }, model.data),
    model.limits && h("p", { class: "quiet", lang: "en" }, model.limits));
}
