/** Numbers as the language of the page writes them, which is that of the document. */

const formats = new Map();

/** A number with so many decimals: 0.50, in German 0,50. */
export function fixed(value, digits = 0) {
  const key = `${document.documentElement.lang || "en"}/${digits}`;
  if (!formats.has(key)) {
    const [language] = key.split("/");
    formats.set(key, new Intl.NumberFormat(language, {
      minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false, signDisplay: "negative" })); // never -0
  }
  return formats.get(key).format(value);
}
