/** What a viewer shows of sound that is in memory: tiles of the spectrogram, waveform, a file to play. */

import { resample } from "./resample.js";

const COLUMNS = 256, ROWS = 512;
const COLUMN_S = 0.004; // of level 0
const TOP_HZ = 4000, SHOWN_RATE = 8000;
const RANGE_DB = 100;
const WINDOWS_MS = [8, 16, 32, 64, 128];
const REFERENCE_FRAMES = 512, REFERENCE_SHARE = 0.997; // nearly the loudest of these is white
const COVERED_S = 0.128, MOST_FRAMES = 8, FEWEST_FRAMES = 2; // of a wide column
const PEAK = 10 ** (-3 / 20);

/**
 * A source for `createViewer`.
 *
 * @param {Float32Array[]} channels full scale 1
 * @param {number} rate Hz
 * @returns {object} with `close()`, which lets go of the file to play
 */
export function sourceOf(channels, rate) {
  const shown_rate = Math.min(rate, SHOWN_RATE);
  const shown = channels.map((samples) => resample(samples, rate, shown_rate));
  const duration_s = channels[0].length / rate;
  const topHz = Math.min(TOP_HZ, shown_rate / 2);
  const references = new Map(); // channel and window: dB
  const addresses = new Map(); // channel: of the file to play
  const reference = (channel, windowMs) => {
    const key = `${channel}/${windowMs}`;
    if (!references.has(key)) references.set(key, referenceOf(shown[channel], shown_rate, windowMs, topHz));
    return references.get(key);
  };
  return {
    duration_s,
    channels: channels.length,
    topHz,
    columnS: COLUMN_S,
    levels: 1 + Math.max(0, Math.ceil(Math.log2(duration_s / (COLUMN_S * COLUMNS)))),
    rangeDb: RANGE_DB,
    windowsMs: WINDOWS_MS,
    tile: (channel, level, index, windowMs) =>
      tileOf(shown[channel], { rate: shown_rate, level, index, windowMs, topHz, reference_db: reference(channel, windowMs) }),
    waveform: async (channel, start_s, end_s, columns) => extremes(channels[channel], rate, start_s, end_s, columns),
    soundUrl: (channel) => {
      if (!addresses.has(channel)) addresses.set(channel, URL.createObjectURL(wavOf(channels[channel], rate)));
      return addresses.get(channel);
    },
    close: () => addresses.forEach((address) => URL.revokeObjectURL(address)),
  };
}

async function tileOf(samples, { rate, level, index, windowMs, topHz, reference_db }) {
  const hop = COLUMN_S * 2 ** level * rate;
  const most = Math.max(FEWEST_FRAMES, Math.min(MOST_FRAMES, Math.round((1000 * COVERED_S) / windowMs)));
  const frames = Math.min(most, Math.max(1, Math.round((1000 * COLUMN_S * 2 ** level) / (windowMs / 4))));
  const image = new ImageData(COLUMNS, ROWS);
  const pixels = new Uint32Array(image.data.buffer);
  const spectrum = new Spectrum(rate, windowMs, topHz);
  for (let column = 0; column < COLUMNS; column += 1) {
    const power = new Float64Array(ROWS);
    for (let k = 0; k < frames; k += 1) {
      spectrum.add(power, samples, (index * COLUMNS + column) * hop + ((k + 0.5) * hop) / frames, frames);
    }
    for (let row = 0; row < ROWS; row += 1) {
      const level_db = 10 * Math.log10(power[row] + 1e-14);
      const grey = Math.round(Math.max(0, Math.min(255, ((level_db - reference_db + RANGE_DB) * 255) / RANGE_DB)));
      pixels[(ROWS - 1 - row) * COLUMNS + column] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
  return createImageBitmap(image, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

function referenceOf(samples, rate, windowMs, topHz) {
  const spectrum = new Spectrum(rate, windowMs, topHz);
  const frames = Math.max(1, Math.min(REFERENCE_FRAMES, Math.ceil(samples.length / (COLUMN_S * rate))));
  const [low, high] = [20, 2000].map((hz) => Math.round((hz / topHz) * ROWS));
  const levels = [];
  for (let k = 0; k < frames; k += 1) {
    const power = new Float64Array(ROWS);
    spectrum.add(power, samples, ((k + 0.5) * samples.length) / frames, 1);
    levels.push(...power.subarray(low, high));
  }
  const sorted = Float64Array.from(levels).sort();
  return 10 * Math.log10(sorted[Math.floor(REFERENCE_SHARE * (sorted.length - 1))] + 1e-14);
}

/** Powers of frames under a Hann window, re a full-scale sine, at the rows' frequencies. */
class Spectrum {
  constructor(rate, windowMs, topHz) {
    this.length = Math.max(16, Math.round((windowMs * rate) / 1000));
    const own = Math.ceil(Math.log2(this.length));
    const finest = Math.ceil(Math.log2((ROWS * rate) / topHz));
    this.size = 2 ** Math.max(own, Math.min(finest, own + 1));
    this.window = Float64Array.from({ length: this.length }, (_, k) => Math.sin((Math.PI * (k + 1)) / (this.length + 1)) ** 2);
    const sum = this.window.reduce((a, b) => a + b, 0);
    this.window = this.window.map((value) => value / (sum / 2));
    this.step = ((topHz / ROWS) * this.size) / rate; // bins between rows
    this.real = new Float64Array(this.size);
    this.imaginary = new Float64Array(this.size);
  }

  /** Add a `frames`-th of the power around a sample to the rows. */
  add(rows, samples, centre, frames) {
    const { real, imaginary, window, length, size, step } = this;
    const start = Math.floor(centre) - (length >> 1);
    real.fill(0);
    imaginary.fill(0);
    for (let k = 0; k < length; k += 1) real[k] = window[k] * (samples[start + k] ?? 0);
    transform(real, imaginary);
    const power = (bin) => (bin > size / 2 ? 0 : real[bin] ** 2 + imaginary[bin] ** 2);
    for (let row = 0; row < ROWS; row += 1) {
      const below = Math.floor(row * step), share = row * step - below;
      rows[row] += (power(below) * (1 - share) + (share ? power(below + 1) * share : 0)) / frames;
    }
  }
}

/** The fast Fourier transform, in place: radix 2. */
function transform(real, imaginary) {
  const size = real.length;
  for (let k = 1, swap = 0; k < size; k += 1) {
    let bit = size >> 1;
    for (; swap & bit; bit >>= 1) swap ^= bit;
    swap |= bit;
    if (k < swap) {
      [real[k], real[swap]] = [real[swap], real[k]];
      [imaginary[k], imaginary[swap]] = [imaginary[swap], imaginary[k]];
    }
  }
  for (let half = 1; half < size; half *= 2) {
    for (let j = 0; j < half; j += 1) {
      const angle = (-Math.PI * j) / half, c = Math.cos(angle), s = Math.sin(angle);
      for (let k = j; k < size; k += 2 * half) {
        const re = real[k + half] * c - imaginary[k + half] * s, im = real[k + half] * s + imaginary[k + half] * c;
        real[k + half] = real[k] - re;
        imaginary[k + half] = imaginary[k] - im;
        real[k] += re;
        imaginary[k] += im;
      }
    }
  }
}

/** Least and greatest sample of each column, of 127 for the loudest sample of all. */
function extremes(samples, rate, start_s, end_s, columns) {
  const peak = Math.max(1e-4, samples.peak ??= samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const scale = (127 * PEAK) / peak;
  const found = new Int8Array(2 * columns);
  for (let k = 0; k < columns; k += 1) {
    const at = (share) => Math.floor((start_s + ((end_s - start_s) * share) / columns) * rate);
    const first = Math.min(samples.length - 1, at(k)), last = Math.min(samples.length, Math.max(first + 1, at(k + 1)));
    let low = Infinity, high = -Infinity;
    for (let j = first; j < last; j += 1) {
      low = Math.min(low, samples[j]);
      high = Math.max(high, samples[j]);
    }
    found[2 * k] = Math.round(low * scale);
    found[2 * k + 1] = Math.round(high * scale);
  }
  return found;
}

/** A WAV file of 16 bits with a peak of -3 dBFS. */
function wavOf(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => word.split("").forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  samples.forEach((value, k) => view.setInt16(44 + 2 * k, Math.round((value / peak) * PEAK * 32767), true));
  return new Blob([view], { type: "audio/wav" });
}
