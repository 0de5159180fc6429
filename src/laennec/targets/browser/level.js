/** How finely a recording's format tells samples apart, how loud it is, and what of it is silence. */

const STEP_16_BIT = 2 ** -15;
const SILENT_STEPS = 2; // peak to peak: what dither leaves of silence
const SIGNIFICANT_BITS = 23, COARSEST_BITS = 7, LOSSY_BITS = 11; // below the recording's peak
const ROUNDING = 2 ** -8; // of differences between floats
const CODED_STEPS = { ULAW: 2 ** -12, ALAW: 2 ** -11, FLOAT: 0, DOUBLE: 0 };
const BINS_AN_OCTAVE = 32;
const LOWEST_OCTAVE = -150, OCTAVES = 184;

/**
 * The step between neighbouring values, in full scale; 0 of nothing but zeros.
 *
 * @param {Float32Array[]} channels
 * @param {string} coding PCM_16 and so on, ULAW, ALAW, FLOAT, DOUBLE or LOSSY; an unknown one counts as 16 bits
 * @param {number} peak largest magnitude of any sample
 */
export function stepOf(channels, coding, peak) {
  if (coding === "LOSSY") return Math.min(STEP_16_BIT, peak * 2 ** -LOSSY_BITS);
  const bits = /^PCM_[SU]?(\d+)$/.exec(coding)?.[1];
  const coded = bits ? 2 ** (1 - bits) : CODED_STEPS[coding] ?? STEP_16_BIT;
  if (coded >= STEP_16_BIT) return coded;
  const finest = Math.min(...channels.map((samples) => finestChange(samples, Math.max(coded, peak * 2 ** -SIGNIFICANT_BITS))));
  let grid = Math.min(STEP_16_BIT, finest);
  const is_power = Number.isFinite(finest) && Math.log2(finest) % 1 === 0;
  if (!coded && !is_power) grid = Math.min(grid * (1 + ROUNDING), peak * 2 ** -COARSEST_BITS);
  return Math.max(coded, peak * 2 ** -SIGNIFICANT_BITS, grid);
}

/** The smallest change between neighbours that is not 0; no longer looked for below `enough`. */
function finestChange(samples, enough) {
  let finest = Infinity;
  for (let k = 1; k < samples.length && finest > enough; k += 1) {
    const change = Math.abs(Math.fround(samples[k] - samples[k - 1]));
    if (change > 0 && change < finest) finest = change;
  }
  return finest;
}

/** Extent, peak to peak, up to which a part of a recording of this step is silent. */
export function silentRange(step) {
  return SILENT_STEPS * step;
}

/** Extents of the whole parts of so many samples, from the lowest sample to the highest. */
export function extentsOf(samples, part) {
  const found = new Float32Array(Math.floor(samples.length / part));
  for (let k = 0; k < found.length; k += 1) found[k] = extent(samples.subarray(k * part, (k + 1) * part));
  return found;
}

/** From the lowest sample to the highest. */
export function extent(samples) {
  let low = Infinity, high = -Infinity;
  for (const value of samples) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return Math.fround(high - low);
}

/**
 * Half the median extent of the parts that are not silent; 0 where there are none.
 *
 * It is the middle, in octaves, of the bin that holds the median: 32 bins an octave, a value on an edge below it.
 */
export function levelOf(extents, silent) {
  const bins = Array.from(extents, binOf).filter((bin) => bin > binOf(silent)).sort((a, b) => a - b);
  if (!bins.length) return 0;
  const middle = bins[Math.ceil(bins.length / 2) - 1] - 0.5;
  return 2 ** (LOWEST_OCTAVE + middle / BINS_AN_OCTAVE - 1);
}

/** Share of the parts up to an extent, by the same bins. */
export function silentShare(extents, silent) {
  const bin = binOf(silent);
  return extents.reduce((count, each) => count + (binOf(each) <= bin), 0) / Math.max(1, extents.length);
}

const EDGES = Array.from({ length: BINS_AN_OCTAVE }, (_, k) => 2 ** (k / BINS_AN_OCTAVE - 1));

/** The bin of an extent; 0 is for none. */
function binOf(value) {
  if (!(value > 0)) return 0;
  let octave = Math.floor(Math.log2(value)) + 1;
  let mantissa = value / 2 ** octave; // in [1/2, 1)
  if (mantissa >= 1) [octave, mantissa] = [octave + 1, mantissa / 2];
  if (mantissa < 0.5) [octave, mantissa] = [octave - 1, mantissa * 2];
  const above = EDGES.findIndex((edge) => edge >= mantissa);
  const bin = (octave - 1 - LOWEST_OCTAVE) * BINS_AN_OCTAVE + (above < 0 ? BINS_AN_OCTAVE : above);
  return Math.min(OCTAVES * BINS_AN_OCTAVE - 1, Math.max(1, bin));
}
