/** Colour tables of the spectrogram, and which text can be read on a colour. */

// Ten colours each, evenly spaced along Matplotlib's maps of these names; those between are interpolated.
const STOPS = {
  magma: ["000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668", "feca8d", "fcfdbf"],
  viridis: ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"],
  grey: ["ffffff", "000000"],
  inverted: ["000000", "ffffff"],
};
export const MAPS = ["magma", "viridis", "grey"];

/**
 * 256 colours as RGBA, quiet first. Grey is dark on light, and the other way round on a dark page.
 *
 * @param {string} name one of MAPS
 * @param {boolean} dark
 * @returns {Uint8ClampedArray}
 */
export function colourTable(name, dark) {
  const stops = STOPS[name === "grey" && dark ? "inverted" : name].map(channels);
  const table = new Uint8ClampedArray(1024);
  for (let k = 0; k < 256; k += 1) {
    const place = (k / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c += 1) {
      table[4 * k + c] = stops[below][c] + (place - below) * (stops[below + 1][c] - stops[below][c]);
    }
    table[4 * k + 3] = 255;
  }
  return table;
}

function channels(colour) {
  const digits = colour.replace("#", "");
  return [0, 2, 4].map((k) => parseInt(digits.slice(k, k + 2), 16));
}

/** Black or white, whichever stands out more on a colour `#rrggbb` (WCAG 2.1, contrast ratio). */
export function readableOn(colour) {
  const [r, g, b] = channels(colour).map((value) => {
    const c = value / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
}
