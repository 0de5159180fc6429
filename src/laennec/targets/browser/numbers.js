/** Arithmetic as NumPy and Python do it; all in double precision unless it says otherwise. */

/** The nearest whole number; halves go to the even one. */
export function rint(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** A number with so many decimals, as JSON has it; null stays null. */
export function rounded(value, digits) {
  return value == null ? null : Number(value.toFixed(digits));
}

/** A share as per cent with so many decimals. */
export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)}%`;
}

/** A count with its noun: 1,200 events. */
export function counted(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A whole number with commas between thousands. */
export function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number in at most six digits, as Python's format g: 5, 0.25, 1e-07. */
export function general(value) {
  return String(Number(value.toPrecision(6)));
}

/** @returns {number} index of the greatest value, the first of equal ones */
export function argmax(values) {
  let best = 0;
  for (let k = 1; k < values.length; k += 1) if (values[k] > values[best]) best = k;
  return best;
}

/** The median of numbers; of an even count the mean of both in the middle. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The mean of rows of equal lengths, weighted. */
export function average(rows, weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return rows[0].map((_, k) => rows.reduce((sum, row, i) => sum + row[k] * weights[i], 0) / total);
}

/** Probabilities of logits; logarithms of probabilities do as well. */
export function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Probabilities of logits, divided by a temperature, with a bias for each; an empty bias is none. */
export function calibrated(logits, temperature, bias) {
  return softmax(Array.from(logits, (logit, k) => logit / temperature + (bias.length ? bias[k] : 0)));
}

/** The probability of a logit of yes or no. */
export function sigmoid(logit) {
  return 1 / (1 + Math.exp(-logit));
}

/** The logarithm of the odds, at most `limit` either way. */
export function logOdds(probability, limit) {
  const inside = Math.min(1 - 1e-12, Math.max(1e-12, probability));
  return Math.min(limit, Math.max(-limit, Math.log(inside) - Math.log1p(-inside)));
}
