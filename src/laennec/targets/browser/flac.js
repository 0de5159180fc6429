/** FLAC to samples: RFC 9639, whole files, up to 32 bits. */

const SYNC = 0x3ffe; // 14 bits
const SIDE_OF = { 8: 1, 9: 0, 10: 1 }; // left/side, side/right, mid/side: which channel has one bit more

/**
 * @param {Uint8Array} bytes
 * @returns {{channels: Float32Array[], rate: number, coding: string, findings: object[]}}
 * @throws {Error} where it is damaged before its first sample
 */
export function decodeFlac(bytes) {
  const bits = new Bits(bytes, 4);
  const info = readInfo(bits);
  const blocks = [];
  let length = 0;
  try {
    while (bits.byte < bytes.length && (!info.length || length < info.length)) {
      const block = frame(bits, info);
      blocks.push(block);
      length += block[0].length;
    }
  } catch (error) {
    if (!blocks.length) throw error; // the samples before a damage are kept
  }
  const scale = 2 ** (info.bits - 1);
  const channels = Array.from({ length: info.channels }, (_, channel) => {
    const samples = new Float32Array(length);
    let at = 0;
    for (const block of blocks) for (const value of block[channel]) samples[at++] = value / scale;
    return samples;
  });
  const findings = [];
  if (length < info.length) {
    const [held, promised] = [length, info.length].map((count) => (count / info.rate).toFixed(3));
    findings.push({
      kind: "truncated", message: `truncated or damaged: decoded ${held} s of ${promised} s promised`,
      share: 1 - length / info.length, channel: null,
    });
  }
  return { channels, rate: info.rate, coding: `PCM_${info.bits}`, findings };
}

class Bits {
  constructor(bytes, byte) {
    this.bytes = bytes;
    this.place = 8 * byte;
  }

  get byte() {
    return this.place >> 3;
  }

  align() {
    this.place = 8 * Math.ceil(this.place / 8);
  }

  /** The next `count` bits, up to 36, without sign. */
  read(count) {
    let value = 0;
    while (count > 0) {
      const byte = this.bytes[Math.floor(this.place / 8)];
      if (byte === undefined) throw new Error("a FLAC file that breaks off");
      const left = 8 - (this.place % 8);
      const take = Math.min(left, count);
      value = value * 2 ** take + ((byte >> (left - take)) & (2 ** take - 1));
      this.place += take;
      count -= take;
    }
    return value;
  }

  signed(count) {
    const value = this.read(count);
    return value >= 2 ** (count - 1) ? value - 2 ** count : value;
  }

  /** How many zeros stand before the next one. */
  unary() {
    let count = 0;
    while (this.read(1) === 0) count += 1;
    return count;
  }
}

function readInfo(bits) {
  let info = null;
  for (let last = false; !last;) {
    last = bits.read(1) === 1;
    const kind = bits.read(7);
    const end = bits.read(24) + bits.byte;
    if (kind === 0) {
      bits.place += 16 + 16 + 24 + 24; // sizes of blocks and frames
      info = { rate: bits.read(20), channels: 1 + bits.read(3), bits: 1 + bits.read(5), length: bits.read(36) };
    }
    bits.place = 8 * end;
  }
  if (!info?.rate) throw new Error("a FLAC file without its description");
  return info;
}

/** The samples of one frame, an array a channel. */
function frame(bits, info) {
  if (bits.read(14) !== SYNC) throw new Error("a FLAC file that is damaged");
  bits.read(2);
  const [size_code, rate_code, assignment, depth_code] = [4, 4, 4, 3].map((count) => bits.read(count));
  bits.read(1);
  let extra = 0; // the frame's number, coded as UTF-8 codes letters
  for (let first = bits.read(8); first & (0x80 >> extra); extra += 1);
  bits.read(8 * Math.max(0, extra - 1));
  const size = blockSize(size_code, bits);
  bits.read({ 12: 8, 13: 16, 14: 16 }[rate_code] ?? 0);
  bits.read(8); // checksum of the header
  const depth = [info.bits, 8, 12, info.bits, 16, 20, 24, 32][depth_code];
  const count = assignment < 8 ? assignment + 1 : 2;
  if (count !== info.channels || assignment > 10) throw new Error("a FLAC file that is damaged");
  const channels = Array.from({ length: count }, (_, k) => subframe(bits, size, depth + (SIDE_OF[assignment] === k ? 1 : 0)));
  bits.align();
  bits.read(16); // checksum of the frame
  return joined(channels, assignment);
}

function blockSize(code, bits) {
  if (code === 1) return 192;
  if (code >= 2 && code <= 5) return 144 * 2 ** code;
  if (code === 6) return bits.read(8) + 1;
  if (code === 7) return bits.read(16) + 1;
  return 2 ** code;
}

function joined(channels, assignment) {
  const [a, b] = channels;
  if (assignment === 8) return [a, a.map((left, k) => left - b[k])];
  if (assignment === 9) return [a.map((side, k) => side + b[k]), b];
  if (assignment !== 10) return channels;
  const middle = (k) => a[k] * 2 + (Math.abs(b[k]) % 2);
  return [a.map((_, k) => (middle(k) + b[k]) / 2), a.map((_, k) => (middle(k) - b[k]) / 2)];
}

function subframe(bits, size, depth) {
  bits.read(1);
  const kind = bits.read(6);
  const wasted = bits.read(1) ? bits.unary() + 1 : 0;
  const samples = new Float64Array(size);
  const own = depth - wasted;
  if (kind === 0) samples.fill(bits.signed(own));
  else if (kind === 1) for (let k = 0; k < size; k += 1) samples[k] = bits.signed(own);
  else if (kind >= 8 && kind <= 12) predicted(bits, samples, own, kind - 8, fixed(kind - 8), 0);
  else if (kind >= 32) predicted(bits, samples, own, kind - 31);
  else throw new Error("a FLAC file that is damaged");
  return wasted ? samples.map((value) => value * 2 ** wasted) : samples;
}

function fixed(order) {
  return [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]][order];
}

/** Samples that are predicted from those before, and what the prediction missed. */
function predicted(bits, samples, depth, order, given, given_shift) {
  for (let k = 0; k < order; k += 1) samples[k] = bits.signed(depth);
  const precision = given ? 0 : bits.read(4) + 1;
  const shift = given ? given_shift : bits.signed(5);
  const weights = given ?? Array.from({ length: order }, () => bits.signed(precision));
  residual(bits, samples, order);
  const divisor = 2 ** shift;
  for (let k = order; k < samples.length; k += 1) {
    let sum = 0;
    for (let j = 0; j < order; j += 1) sum += weights[j] * samples[k - 1 - j];
    samples[k] += Math.floor(sum / divisor);
  }
}

function residual(bits, samples, order) {
  const width = bits.read(2) ? 5 : 4;
  const parts = 2 ** bits.read(4);
  const length = samples.length / parts;
  let k = order;
  for (let part = 0; part < parts; part += 1) {
    const parameter = bits.read(width);
    const raw = parameter === 2 ** width - 1 ? bits.read(5) : null;
    for (; k < length * (part + 1); k += 1) {
      if (raw !== null) samples[k] = raw ? bits.signed(raw) : 0;
      else {
        const value = bits.unary() * 2 ** parameter + bits.read(parameter);
        samples[k] = value % 2 ? -(value + 1) / 2 : value / 2;
      }
    }
  }
}
