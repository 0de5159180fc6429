/** Where the evidence for the chosen event lies, over the spectrogram, for models that can tell. */

import { h } from "./dom.js";

const COLOURS = { grey: [214, 20, 90], magma: [70, 235, 255], viridis: [255, 80, 200] }; // each not in its map
const OPAQUE = 200; // of 255, at the strongest
const ROWS = 128;

/** A layer on `box`; `draw` shows {start_s, end_s, edges_hz, values: bands × columns}, or nothing. */
export function createEvidence(box) {
  const canvas = h("canvas", { class: "viewer-evidence", hidden: true, "aria-hidden": "true" });
  const picture = document.createElement("canvas");
  let drawn = "";
  box.append(canvas);

  return {
    canvas,
    draw(axis, look, relevance, scale) {
      canvas.hidden = !look.evidence || !relevance || relevance.end_s < axis.start_s || relevance.start_s > axis.end_s;
      if (canvas.hidden) return;
      const name = [relevance.start_s, relevance.end_s, look.low_hz, look.high_hz, look.log, look.colours].join();
      if (name !== drawn) paint(picture, relevance, look);
      drawn = name;
      const context = canvas.getContext("2d");
      const [from, to] = [relevance.start_s, relevance.end_s].map((t) => axis.x(t) * scale);
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(picture, from, 0, to - from, canvas.height);
    },
    dispose() {
      canvas.width = canvas.height = picture.width = picture.height = 0;
      canvas.remove();
    },
  };
}

function paint(picture, { edges_hz, values }, look) {
  const columns = values[0].length;
  Object.assign(picture, { width: columns, height: ROWS });
  const context = picture.getContext("2d");
  const image = context.createImageData(columns, ROWS);
  for (let y = 0; y < ROWS; y += 1) {
    const at = 1 - (y + 0.5) / ROWS;
    const hz = look.log ? look.low_hz * (look.high_hz / look.low_hz) ** at : look.low_hz + at * (look.high_hz - look.low_hz);
    const band = edges_hz.findLastIndex((edge) => edge <= hz);
    for (let x = 0; x < columns; x += 1) {
      const strength = values[band]?.[x] ?? 0; // outside of its bands it is clear
      image.data.set([...COLOURS[look.colours], Math.round(OPAQUE * Math.max(0, Math.min(1, strength)))], 4 * (y * columns + x));
    }
  }
  context.putImageData(image, 0, 0);
}
