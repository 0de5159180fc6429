/** Breaths as an analysis tells them: a thin lane of phases over the time axis, and what they come to in a line. */

import { readableOn } from "./colours.js";
import { fixed } from "./decimals.js";
import { h } from "./dom.js";

const LETTER_PX = 7, AIR_PX = 3; // a word is there where it fits, else its beginning
const EDGE_PX = 1; // between neighbours

/**
 * @param {{label: (name: string) => object, text: Function, sentence: (english: string) => string}} options
 *   `label`: {text, colour} of a phase; `sentence`: a sentence of an analysis as it is to be shown
 */
export function createBreathing({ label, text, sentence, changed }) {
  const lane = h("ul", { class: "viewer-breaths", "aria-label": text("viewer.breathing"), hidden: true });
  const name = h("span", { class: "viewer-breaths-name", "aria-hidden": "true", hidden: true }, text("viewer.layer_breathing"));
  const line = h("p", { class: "viewer-breathing", hidden: true });
  const boxes = new Map(); // place among the phases: element
  let all = [];
  let phases = [];
  let channel = 0;
  let drawn = "";

  const show = () => {
    const own = all.find((each) => each.channel === channel);
    phases = own?.phases ?? [];
    lane.hidden = name.hidden = phases.length === 0;
    line.hidden = !own;
    line.textContent = own ? breathsInWords(own, text, sentence) : "";
    lane.replaceChildren();
    boxes.clear();
    drawn = "";
    changed();
  };

  const made = (phase) => {
    const { colour, text: words } = label(phase.phase);
    const chance = phase.probability != null && text("viewer.breaths_sure", { value: fixed(phase.probability, 2) });
    const times = text("viewer.from_to", { start: fixed(phase.start_s, 2), end: fixed(phase.end_s, 2) });
    const described = [words, times, chance].filter(Boolean).join(", ");
    const box = h("span", { role: "img", "aria-label": described, title: described,
      style: { "--colour": colour, "--on": readableOn(colour) } });
    const item = h("li", { dataset: { phase: phase.phase } }, box);
    return { item, box, words: [words, words.slice(0, 3), words.slice(0, 1)] };
  };

  const place = (k, axis) => {
    if (!boxes.has(k)) {
      boxes.set(k, made(phases[k]));
      lane.append(boxes.get(k).item);
    }
    const { item, box, words } = boxes.get(k);
    const from = Math.max(-2, axis.x(phases[k].start_s)), to = Math.min(axis.width + 2, axis.x(phases[k].end_s));
    const width = Math.max(1, to - from - EDGE_PX);
    item.style.transform = `translateX(${from.toFixed(1)}px)`;
    item.style.width = `${width.toFixed(1)}px`;
    box.textContent = words.find((each) => each.length * LETTER_PX + AIR_PX <= width) ?? "";
  };

  return {
    lane,
    name,
    line,
    /** Show the breaths of these channels, as an analysis has them in `breathing`. */
    set(breathing) {
      all = breathing ?? [];
      show();
    },
    choose(of) {
      channel = of;
      show();
    },
    update(axis) {
      const now = [axis.start_s, axis.end_s, axis.width].join();
      if (now === drawn) return;
      drawn = now;
      phases.forEach((phase, k) => {
        if (phase.end_s > axis.start_s && phase.start_s < axis.end_s) place(k, axis);
        else if (boxes.has(k)) {
          boxes.get(k).item.remove();
          boxes.delete(k);
        }
      });
    },
  };
}

const oneTo = (ratio) => `1:${fixed(1 / ratio, 1)}`;

/** The I:E of each channel where it is known, in a few letters: 1:2.1 */
export function ieShort(breathing) {
  return (breathing ?? []).filter(({ known, ie_ratio: ratio }) => known && ratio != null).map(({ ie_ratio: ratio }) => oneTo(ratio)).join(", ");
}

/** What is told of a channel's breaths: I:E with its quartiles, or why it is not known. */
export function breathsInWords(breathing, text, sentence) {
  if (!breathing.known) return text("viewer.breaths_unknown", { reason: sentence(breathing.reason ?? "") });
  const sure = breathing.probability == null ? text("viewer.breaths_given")
    : text("viewer.breaths_sure", { value: fixed(breathing.probability, 2) });
  if (breathing.ie_ratio == null) return text("viewer.breaths_none", { sure });
  const [low, high] = breathing.ie_quartiles.map(oneTo);
  return text("viewer.breaths_ie", { ratio: oneTo(breathing.ie_ratio), low: high, high: low, breaths: breathing.breaths, sure });
}

/** When in a breath an adventitious sound is heard: `{words, why}`, both text, the latter perhaps empty. */
export function timingInWords(timing, text, sentence) {
  const { phase, part, share, pitch_hz, probability, reason } = timing;
  const words = [
    text(`viewer.timing_${[part, phase ?? "unknown"].filter(Boolean).join("_")}`),
    share != null && text("viewer.timing_share", { percent: Math.round(100 * share) }),
    pitch_hz != null && text("viewer.timing_pitch", { hz: Math.round(pitch_hz) }),
  ];
  const why = reason ? sentence(reason) : probability == null ? "" : text("viewer.breaths_sure", { value: fixed(probability, 2) });
  return { words: words.filter(Boolean).join(", "), why };
}
