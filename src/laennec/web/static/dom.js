/** Elements made by hand; the viewer has the same, and is part of reports too. */

import { fill } from "./viewer/dom.js";

export * from "./viewer/dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element; like `h`. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}
