/** A viewer of one of the server's recordings, and what its analysis tells: the same in every view. */

import { h, replace } from "../dom.js";
import { sentence } from "../sentences.js";
import { text } from "../text.js";
import { serverSource } from "../viewer/source.js";
import { createViewer } from "../viewer/viewer.js";

/**
 * Open a viewer, which ends with `life`. Where there is no sound to show, the place says why.
 *
 * @param {object} app
 * @param {HTMLElement} place that gets the viewer as its content
 * @param {{id: number|string, error?: string|null}} row of the recording
 * @param {import("../viewer/life.js").Life} life
 * @param {object} [options] of `createViewer`, beside those that every view has
 * @returns {Promise<import("../viewer/viewer.js").Viewer|null>} null where there is none, or the view has ended
 */
export async function openViewer(app, place, row, life, options) {
  try {
    const source = await serverSource(row.id, { signal: life.signal });
    if (life.ended) return null;
    const viewer = createViewer(place, source, { text, label: (name) => app.label(name), sentence, ...options });
    life.atEnd(() => viewer.dispose());
    return viewer;
  } catch (error) {
    if (!life.ended) replace(place, h("p", { class: "notice error" }, sentence(row.error ?? error.message)));
    return null;
  }
}

/** Show the events that were found, and breaths where they are told. */
export function showAnalysis(app, viewer, analysis, found = analysis?.events ?? []) {
  const phases = new Set(app.labels.phases.map((phase) => phase.name));
  const events = found.map((event, k) => ({ ...event, id: `a${k}`, channel: event.channel ?? 0 }));
  viewer.setEvents(events.filter(({ label }) => !phases.has(label)));
  viewer.setEvents(events.filter(({ label }) => phases.has(label)), { layer: "phases" });
  viewer.setBreathing(analysis?.breathing);
}
