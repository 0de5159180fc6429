/** Sound files: WAV and FLAC by their own samples, everything else as far as the browser decodes it. */

import { decodeFlac } from "./flac.js";

const FALLBACK_RATE = 48000; // Hz, that the browser is asked for
const PCM = 1, FLOAT = 3, ALAW = 6, ULAW = 7, EXTENSIBLE = 0xfffe;

/**
 * Read a sound file.
 *
 * @param {ArrayBuffer} buffer
 * @param {string} [name] for messages
 * @returns {Promise<object>} {name, channels: Float32Array[], rate, coding, repairs, findings, notes}
 * @throws {Error} with a sentence
 */
export async function readSound(buffer, name = "recording") {
  const bytes = new Uint8Array(buffer);
  const begins = (word, at = 0) => word.split("").every((letter, k) => bytes[at + k] === letter.charCodeAt(0));
  if (!bytes.length) throw new Error(`${name}: empty, the file has 0 bytes`);
  const found = { name, repairs: [], findings: [], notes: [] };
  try {
    if (begins("RIFF") && begins("WAVE", 8)) return { ...found, ...readWav(new DataView(buffer)) };
    if (begins("fLaC")) return { ...found, ...decodeFlac(bytes) };
  } catch (error) {
    throw new Error(`${name}: ${error instanceof RangeError ? "damaged, it ends in the middle of its header" : error.message}`);
  }
  return { ...found, ...(await decoded(buffer, name)) };
}

async function decoded(buffer, name) {
  const Context = globalThis.OfflineAudioContext;
  if (!Context) throw new Error(`${name}: neither WAV nor FLAC, and nothing here decodes other sound`);
  let sound;
  try {
    sound = await new Context(1, 1, FALLBACK_RATE).decodeAudioData(buffer.slice(0));
  } catch {
    throw new Error(`${name}: not a sound file that this browser can decode; use WAV or FLAC`);
  }
  return {
    channels: Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k)),
    rate: FALLBACK_RATE,
    coding: "LOSSY",
    notes: [`decoded by the browser at ${FALLBACK_RATE} Hz; WAV and FLAC are read as they are`],
  };
}

/** RIFF WAVE: PCM of 8 to 32 bits, floats, A-law and µ-law. */
function readWav(view) {
  let format = null;
  for (let at = 12; at + 8 <= view.byteLength;) {
    const id = String.fromCharCode(...[0, 1, 2, 3].map((k) => view.getUint8(at + k)));
    const size = view.getUint32(at + 4, true);
    if (id === "fmt ") format = readFormat(view, at + 8, size);
    if (id === "data") {
      if (!format) throw new Error("a WAV file without a format before its sound");
      return samplesOf(view, at + 8, size, format);
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("a WAV file without sound in it");
}

function readFormat(view, at, size) {
  let tag = view.getUint16(at, true);
  if (tag === EXTENSIBLE && size >= 26) tag = view.getUint16(at + 24, true);
  return { tag, channels: view.getUint16(at + 2, true), rate: view.getUint32(at + 4, true), bits: view.getUint16(at + 14, true) };
}

function samplesOf(view, start, promised, { tag, channels: count, rate, bits }) {
  const reader = readerOf(tag, bits);
  if (!reader || !count) throw new Error(`a WAV file of a coding that is not read here (format ${tag}, ${bits} bits)`);
  const unknown = promised === 0 || promised >= 0xffffff00; // of a program that did not know the length when it began
  const held = unknown ? view.byteLength - start : Math.min(promised, view.byteLength - start);
  const width = bits / 8;
  const length = Math.floor(held / (width * count));
  const channels = Array.from({ length: count }, () => new Float32Array(length));
  for (let k = 0, at = start; k < length; k += 1) {
    for (let channel = 0; channel < count; channel += 1, at += width) channels[channel][k] = reader.read(view, at);
  }
  const findings = [];
  if (!unknown && held < promised) {
    const message = `truncated: the header promises ${promised.toLocaleString("en")} bytes of audio, the file holds ${held.toLocaleString("en")}`;
    findings.push({ kind: "truncated", message, share: 1 - held / promised, channel: null });
  }
  return { channels, rate, coding: reader.coding, findings };
}

function readerOf(tag, bits) {
  const whole = (scale, read) => ({ coding: `PCM_${bits}`, read: (view, at) => read(view, at) / scale });
  return {
    [`${PCM}/8`]: { coding: "PCM_U8", read: (view, at) => (view.getUint8(at) - 128) / 128 },
    [`${PCM}/16`]: whole(2 ** 15, (view, at) => view.getInt16(at, true)),
    [`${PCM}/24`]: whole(2 ** 23, (view, at) => (view.getInt8(at + 2) << 16) | view.getUint16(at, true)),
    [`${PCM}/32`]: whole(2 ** 31, (view, at) => view.getInt32(at, true)),
    [`${FLOAT}/32`]: { coding: "FLOAT", read: (view, at) => view.getFloat32(at, true) },
    [`${FLOAT}/64`]: { coding: "DOUBLE", read: (view, at) => view.getFloat64(at, true) },
    [`${ALAW}/8`]: { coding: "ALAW", read: (view, at) => aLaw(view.getUint8(at)) / 2 ** 15 },
    [`${ULAW}/8`]: { coding: "ULAW", read: (view, at) => uLaw(view.getUint8(at)) / 2 ** 15 },
  }[`${tag}/${bits}`];
}

/** ITU-T G.711. */
function aLaw(byte) {
  const code = byte ^ 0x55;
  const exponent = (code >> 4) & 7, mantissa = ((code & 15) << 4) + 8;
  const value = exponent ? (mantissa + 256) << (exponent - 1) : mantissa;
  return code & 128 ? value : -value;
}

function uLaw(byte) {
  const code = ~byte & 255;
  const value = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
  return code & 128 ? -value : value;
}
