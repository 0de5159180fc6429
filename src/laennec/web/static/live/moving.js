/** The moving spectrogram: the last seconds of the sound that comes, with the events in it. */

import { h } from "../dom.js";
import { colourTable, readableOn } from "../viewer/colours.js";

const SHOWN_S = 10;
const TOP_HZ = 2000;
const RANGE_DB = 60; // below the loudest of the last seconds
const FORGET = 0.998; // of the loudest, with every column
const LANE = 26; // CSS pixels of the events below

/**
 * A canvas that shows what comes.
 *
 * @param {(event: object) => {text: string, short: string, colour: string}} label of an event
 * @param {string} name what it is, for who does not see it
 * @returns {{element: HTMLElement, add: (columns: object) => void, events: (found: object[]) => void, close: () => void}}
 */
export function createMoving(label, name) {
  const canvas = h("canvas", { class: "moving", role: "img", "aria-label": name });
  const context = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const table = colourTable("magma", dark);
  const found = [];
  let ring = null; // a picture of the last columns: column k is at k modulo its width
  let hop = 0;
  let count = 0; // columns that came
  let loudest = 0;
  let shown = 0; // second at the right edge
  let before = 0;
  let frame = 0;

  function add({ first, hop_s: hopS, rows, top_hz: topHz, lowest_db: lowestDb, data }) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const used = Math.min(rows, Math.round((rows * TOP_HZ) / topHz));
    hop = hopS;
    ring ??= new OffscreenCanvas(Math.ceil((SHOWN_S + 4) / hopS), used);
    const picture = ring.getContext("2d");
    const range = (RANGE_DB * 255) / -lowestDb;
    const strip = picture.createImageData(1, used);
    for (let k = 0; k * rows < bytes.length; k += 1) {
      const column = bytes.subarray(k * rows, k * rows + used);
      loudest = Math.max(loudest * FORGET, column.reduce((most, value) => Math.max(most, value), 0));
      for (let row = 0; row < used; row += 1) {
        const shade = Math.round(255 * Math.min(1, Math.max(0, 1 - (loudest - column[row]) / range)));
        strip.data.set(table.subarray(4 * shade, 4 * shade + 4), 4 * (used - 1 - row));
      }
      picture.putImageData(strip, (first + k) % ring.width, 0);
    }
    count = Math.max(count, first + bytes.length / rows);
    if (still || count * hop - shown > 2) shown = count * hop;
    ask();
  }

  function ask() {
    frame ||= requestAnimationFrame(draw);
  }

  function draw(now) {
    frame = 0;
    const target = count * hop;
    shown = Math.min(target, shown + Math.min(0.1, (now - before) / 1000));
    before = now;
    fit();
    paint();
    if (shown < target) ask();
  }

  function fit() {
    const scale = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }

  function paint() {
    const { width, height } = canvas;
    const lane = LANE * (devicePixelRatio || 1);
    const start = shown - SHOWN_S;
    const x = (second) => ((second - start) / SHOWN_S) * width;
    context.clearRect(0, 0, width, height);
    if (ring) {
      const [from, to] = [Math.max(0, Math.floor(start / hop)), Math.min(count, Math.ceil(shown / hop))];
      for (let k = from; k < to;) {
        const length = Math.min(to - k, ring.width - (k % ring.width));
        context.drawImage(ring, k % ring.width, 0, length, ring.height, x(k * hop), 0, (length * hop * width) / SHOWN_S, height - lane);
        k += length;
      }
    }
    for (const event of found) box(event, x, height - lane, lane);
  }

  function box({ start_s: startS, end_s: endS, ...event }, x, top, lane) {
    const [left, right] = [x(startS), x(endS)];
    if (right < 0) return;
    const { text, short, colour } = label(event);
    context.fillStyle = colour;
    context.fillRect(left, top + 2, Math.max(2, right - left - 1), lane - 2);
    context.fillStyle = readableOn(colour);
    context.font = `${Math.round(lane * 0.5)}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(left, top, right - left - 4, lane);
    context.clip();
    const words = context.measureText(text).width <= right - left - 8 ? text : short;
    context.fillText(words, left + 4, top + lane / 2 + 1);
    context.restore();
  }

  const sized = new ResizeObserver(ask);
  sized.observe(canvas);
  return {
    element: canvas,
    add,
    events(more) {
      found.push(...more);
      while (found.length && found[0].end_s < count * hop - 2 * SHOWN_S) found.shift();
      ask();
    },
    close() {
      sized.disconnect();
      cancelAnimationFrame(frame);
      ring = null;
    },
  };
}
