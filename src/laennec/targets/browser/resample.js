/**
 * Another sample rate: a sinc under a Kaiser window, as many phases as the two rates need.
 *
 * Width, window and cut-off are those of libsoxr's "HQ", which Laennec uses in Python. Rates of 1 to 2 agree to 3e-7;
 * of others, soxr's stages differ a little in the filter's slope, near the end of the band.
 */

const BETA = 13.04; // of the window: 127 dB
const CUTOFF = 0.9568718; // half amplitude, of half the lower rate
const HALF_WIDTH = 97.25; // samples of the lower rate

/**
 * @param {Float32Array} samples
 * @param {number} from Hz, a whole number
 * @param {number} to Hz, a whole number
 * @returns {Float32Array} floor(samples * to / from + 1/2) of them
 */
export function resample(samples, from, to) {
  if (from === to) return samples;
  const divisor = greatestDivisor(from, to);
  const [up, down] = [to / divisor, from / divisor];
  const found = new Float32Array(Math.floor((samples.length * to) / from + 0.5));
  const kernels = new Array(up);
  for (let k = 0; k < found.length; k += 1) {
    const place = k * down; // in samples / up
    const before = Math.floor(place / up);
    const phase = place - before * up;
    const { first, taps } = (kernels[phase] ??= kernel(phase / up, from, Math.min(from, to)));
    const start = before + first;
    const until = Math.min(taps.length, samples.length - start);
    let sum = 0;
    for (let j = Math.max(0, -start); j < until; j += 1) sum += taps[j] * samples[start + j];
    found[k] = sum;
  }
  return found;
}

/** The taps for a place this share of a sample after a sample, and where the first one lies from there. */
function kernel(share, from, lower) {
  const reach = (HALF_WIDTH / lower) * from; // in samples
  const band = (CUTOFF * lower) / from; // of half the rate
  const first = Math.ceil(share - reach);
  const taps = new Float64Array(Math.floor(share + reach) - first + 1);
  const top = bessel(BETA);
  for (let j = 0; j < taps.length; j += 1) {
    const distance = first + j - share;
    const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - (distance / reach) ** 2))) / top;
    const angle = Math.PI * band * distance;
    taps[j] = band * window * (Math.abs(angle) < 1e-12 ? 1 : Math.sin(angle) / angle);
  }
  return { first, taps };
}

/** The modified Bessel function of the first kind and order 0, by its series. */
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > sum * 1e-17; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(a, b) {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
