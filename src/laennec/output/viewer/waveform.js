/** The waveform: least and greatest sample of each column, in pieces of a pyramid as the tiles are. */

import { Chunks, visible } from "./chunks.js";

const COLUMNS = 512; // of a piece
const COARSEST_S = 0.032; // a column at level 3, where the spectrogram's have twice the width
const FINEST = -6; // level: half a sample of 8 kHz
const KEPT = 400; // pieces of 1 KiB
const HEIGHT = 1 / 0.75; // the loudest sample has 0.71 of full scale

/**
 * @param {HTMLCanvasElement} canvas
 * @param {object} source of the viewer
 * @param {{changed: () => void}} options
 */
export function createWaveform(canvas, source, { changed }) {
  const context = canvas.getContext("2d");
  const columnS = (level) => COARSEST_S * 2 ** (level - 3) / 2;
  let channel = 0;
  const pieces = new Chunks({
    load: async ({ channel: of, level, index }, signal) => {
      const start = index * COLUMNS * columnS(level);
      const end = Math.min(start + COLUMNS * columnS(level), source.duration_s);
      const columns = Math.max(1, Math.round((end - start) / columnS(level)));
      const pairs = await source.waveform(of, start, end, columns, signal);
      return { pairs, start, column_s: (end - start) / columns };
    },
    loaded: changed,
    most: KEPT,
  });
  const key = (level, index) => `${channel}/${level}/${index}`;

  const kept = (level, index, coarsest) => {
    for (let coarser = level; coarser <= coarsest; coarser += 1) {
      const found = pieces.get(key(coarser, Math.floor(index / 2 ** (coarser - level))));
      if (found) return found;
    }
    return null;
  };

  return {
    choose(of) {
      channel = of;
    },
    get settled() {
      return pieces.settled;
    },
    draw(axis, { ink, spans }, scale) {
      const { width, height } = canvas;
      const pixel_s = axis.span_s / width;
      const coarsest = Math.max(FINEST, Math.ceil(Math.log2(axis.duration_s / COLUMNS / columnS(0))));
      const level = Math.max(FINEST, Math.min(coarsest, Math.floor(Math.log2(pixel_s / columnS(0)))));
      const { first, last, around } = visible(axis, COLUMNS * columnS(level), 1, source.duration_s);
      const list = [];
      context.clearRect(0, 0, width, height);
      shade(context, axis, spans, scale, height);
      context.fillStyle = ink;
      context.beginPath();
      for (let index = first; index <= last; index += 1) {
        list.push({ channel, level, index, key: key(level, index) });
        const piece = kept(level, index, coarsest);
        if (piece) trace(context, piece, axis, index * COLUMNS * columnS(level), columnS(level), scale, height);
      }
      context.fill();
      for (const index of around) list.push({ channel, level, index, key: key(level, index) });
      if (level !== coarsest) list.unshift({ channel, level: coarsest, index: 0, key: key(coarsest, 0) });
      pieces.want(list);
    },
    dispose() {
      pieces.dispose();
      canvas.width = canvas.height = 0;
    },
  };
}

function shade(context, axis, spans, scale, height) {
  context.globalAlpha = 0.3;
  for (const { start_s, end_s, colour } of spans) {
    const x = axis.x(start_s) * scale;
    context.fillStyle = colour;
    context.fillRect(x, 0, Math.max(1, axis.x(end_s) * scale - x), height);
  }
  context.globalAlpha = 1;
}

/** Add the outline of a piece, from one time on, to the path. */
function trace(context, { pairs, start, column_s }, axis, from_s, own_s, scale, height) {
  const count = pairs.length / 2;
  const first = Math.max(0, Math.floor((Math.max(from_s, axis.start_s) - start) / column_s) - 1);
  const until_s = Math.min(from_s + COLUMNS * own_s, axis.end_s, start + count * column_s);
  const last = Math.min(count - 1, Math.ceil((until_s - start) / column_s) + 1);
  if (last < first) return;
  const place = (k) => (k === 0 ? 0 : k === count - 1 ? count : k + 0.5); // a piece reaches to its neighbours
  const x = (k) => axis.x(start + place(k) * column_s) * scale;
  const y = (value, thick) => height * (0.5 - (value / 127) * 0.5 * HEIGHT) + thick;
  const thick = 0.5 * scale; // silence is a line
  context.moveTo(x(first), y(pairs[2 * first + 1], -thick));
  for (let k = first; k <= last; k += 1) context.lineTo(x(k), y(pairs[2 * k + 1], -thick));
  for (let k = last; k >= first; k -= 1) context.lineTo(x(k), y(pairs[2 * k], thick));
  context.closePath();
}
