/** The spectrogram: which tiles of the pyramid are drawn where, coarse ones until the fine ones are there. */

import { Chunks, visible } from "./chunks.js";
import { colourTable } from "./colours.js";
import { flatPainter } from "./painter_2d.js";
import { glPainter } from "./painter_gl.js";

const COLUMNS = 256;
const KEPT = 256; // tiles: 32 MiB as textures
const AHEAD = 3; // tiles on either side
const TICKS_HZ = [10, 20, 50, 100, 200, 500, 1000, 2000, 4000];

/**
 * @param {HTMLElement} box that it fills
 * @param {object} source of the viewer
 * @param {{changed: () => void, flat?: boolean}} options `changed`: draw again; `flat`: without
 *   WebGL, or with it even where there is no graphics card; not given: what is faster
 */
export function createSpectrogram(box, source, { changed, flat }) {
  let canvas = null;
  let painter = null;
  let table = "";
  let chosen = { channel: 0, window_ms: 32 };
  let facts = null; // of the chosen channel and window
  const tiles = new Chunks({
    load: async (part, signal) => {
      const image = await source.tile(part.channel, part.level, part.index, part.window_ms, signal);
      if (signal.aborted || !painter) {
        image.close?.();
        throw new DOMException("no longer wanted", "AbortError");
      }
      return painter.accept(image);
    },
    release: (kept) => painter?.release(kept),
    loaded: changed,
    most: KEPT,
  });

  const start = (without_gl) => {
    tiles.clear();
    painter?.dispose();
    canvas?.remove();
    canvas = document.createElement("canvas");
    canvas.className = "viewer-spectrogram";
    canvas.setAttribute("aria-hidden", "true");
    box.prepend(canvas);
    painter = (!without_gl && glPainter(canvas, { lost: () => start(true), fast: flat === undefined })) || null;
    if (!painter) {
      if (!without_gl) { // a canvas that was asked for one kind gives no other
        const fresh = canvas.cloneNode();
        canvas.replaceWith(fresh);
        canvas = fresh;
      }
      painter = flatPainter(canvas);
    }
    table = "";
    changed();
  };
  start(flat);

  const key = (level, index) => `${chosen.channel}/${chosen.window_ms}/${level}/${index}`;
  const part = (level, index) => ({ ...chosen, level, index, key: key(level, index) });
  const partS = (level) => COLUMNS * facts.columnS * 2 ** level;

  /** Where a tile is not there yet, the finest coarser one that is. */
  const paintTile = (axis, level, index, scale) => {
    const start_s = index * partS(level), end_s = Math.min((index + 1) * partS(level), source.duration_s);
    for (let coarser = level; coarser < facts.levels; coarser += 1) {
      const within = Math.floor(index / 2 ** (coarser - level));
      const kept = tiles.get(key(coarser, within));
      if (kept === undefined) continue;
      const u = (t) => (t - within * partS(coarser)) / partS(coarser);
      painter.paint(kept, axis.x(start_s) * scale, axis.x(end_s) * scale, u(start_s), u(end_s));
      return;
    }
  };

  const wanted = (axis, level) => {
    const { first, last, around } = visible(axis, partS(level), AHEAD, source.duration_s);
    const parts = [part(facts.levels - 1, 0)];
    const middle = (first + last) / 2;
    const shown = Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => first + k);
    shown.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
    for (const index of [...shown, ...around]) parts.push(part(level, index));
    for (const coarser of [level + 2, level + 1]) { // for whoever zooms out next
      if (coarser >= facts.levels) continue;
      const range = visible(axis, partS(coarser), 1, source.duration_s);
      for (let k = range.first; k <= range.last; k += 1) parts.push(part(coarser, k));
    }
    return { first, last, parts };
  };

  return {
    get canvas() {
      return canvas;
    },
    get kind() {
      return painter.kind;
    },
    get textures() {
      return painter?.textures ?? 0;
    },
    get settled() {
      return tiles.settled;
    },
    /** Show a channel under a window; `of` says how its tiles lie: {columnS, levels, topHz, rangeDb}. */
    choose(channel, window_ms, of) {
      chosen = { channel, window_ms };
      facts = of;
    },
    draw(axis, look, scale) {
      if (!facts) return;
      const name = `${look.colours}/${look.dark}`;
      if (table !== name) painter.setTable(colourTable(look.colours, look.dark));
      table = name;
      painter.begin({ low_hz: look.low_hz, high_hz: look.high_hz, top_hz: facts.topHz, log: look.log,
        range_db: facts.rangeDb, brightness_db: look.brightness_db, shown_db: look.shown_db });
      const pixel_s = axis.span_s / axis.width / scale;
      const level = Math.max(0, Math.min(facts.levels - 1, Math.round(Math.log2(pixel_s / facts.columnS))));
      const { first, last, parts } = wanted(axis, level);
      for (let index = first; index <= last; index += 1) paintTile(axis, level, index, scale);
      tiles.want(parts);
    },
    /** Draw without WebGL, as where it is missing. */
    flatten() {
      start(true);
    },
    clear() {
      tiles.clear();
    },
    dispose() {
      tiles.dispose();
      painter.dispose();
      painter = null;
      canvas.remove();
    },
  };
}

/** The frequencies to be labelled, and where: shares from the top. */
export function frequencyTicks({ low_hz, high_hz, log }) {
  const place = (hz) => (log ? Math.log(high_hz / hz) / Math.log(high_hz / low_hz) : (high_hz - hz) / (high_hz - low_hz));
  const step = [50, 100, 200, 500, 1000].find((s) => (high_hz - low_hz) / s <= 8) ?? 1000;
  const even = Array.from({ length: Math.floor(high_hz / step) + 1 }, (_, k) => k * step);
  const all = log ? TICKS_HZ : even;
  return all.filter((hz) => hz >= low_hz && hz <= high_hz).map((hz) => ({ hz, share: place(hz) }));
}
