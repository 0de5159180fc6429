/** A chest from the front and from the back, in lines that leave the answers to be seen. */

import { s } from "../dom.js";
import { text } from "../text.js";

export const WIDTH = 300;
export const HEIGHT = 300;
const MIDDLE = WIDTH / 2;
// Where x = 1 and y from 0 to 1 of a place lie (patient.CHEST_PLACES): from the notch above the breastbone to
// the lowest rib.
const HALF_WIDTH = 80;
const TOP = 58;
const LENGTH = 186;

// The patient's right half as seen from the front; the other half is its mirror image.
const OUTLINE = "M150 2 H125 C127 22 126 34 117 42 C101 53 76 55 58 64 C37 74 29 92 26 118 L17 196 H46 L57 137 " +
  "C64 170 70 205 70 236 C70 262 65 280 61 298 H150";
const LUNG = "M141 74 C134 57 117 57 107 71 C90 95 75 146 75 198 C75 209 82 212 95 206 C112 198 131 190 141 184 Z";
const LUNG_BACK = "M139 70 C132 56 117 57 107 71 C90 95 76 150 76 214 C76 226 84 229 98 224 C114 219 130 215 139 213 Z";
const CLAVICLE = "M142 68 C126 60 108 68 94 67 C80 66 70 62 60 68";
const RIBS_FRONT = [88, 105, 122, 139, 156].map((y, k) => `M140 ${y} C124 ${y - 6} 98 ${y - 2} ${84 - k * 2} ${y + 20 + k * 2}`);
const ARCH = "M147 178 C134 190 112 214 92 236";
const RIBS_BACK = [82, 98, 114, 130, 146, 162, 178, 194, 210].map((y, k) =>
  `M143 ${y} C126 ${y - 7} 100 ${y - 2} ${Math.max(73, 84 - k * 2)} ${y + 20}`);
const SCAPULA = "M124 82 C108 80 90 80 76 87 C84 110 94 140 106 158 C113 152 122 112 124 82 Z M121 93 C106 91 91 87 80 84";

/** Where a place is drawn, as shares of width and height: the patient's left is on the right of the front. */
export function pointOf(place) {
  const side = place.face === "front" ? 1 : -1;
  return { left: (MIDDLE + side * place.x * HALF_WIDTH) / WIDTH, top: (TOP + place.y * LENGTH) / HEIGHT };
}

/** One of both drawings; `face` is front or back. */
export function drawChest(face) {
  const lines = face === "front" ? front() : back();
  const [atLeft, atRight] = face === "front" ? ["patient.right_short", "patient.left_short"] : ["patient.left_short", "patient.right_short"];
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "torso", "aria-hidden": "true", focusable: "false" },
    both(() => s("path", { class: "body", d: OUTLINE })), lines,
    s("text", { x: "10", y: "22" }, text(atLeft)), s("text", { x: String(WIDTH - 10), y: "22", "text-anchor": "end" }, text(atRight)));
}

function front() {
  return [
    both(() => s("path", { class: "lung", d: LUNG })),
    both(() => RIBS_FRONT.map((d) => s("path", { class: "rib", d }))),
    both(() => [s("path", { class: "bone", d: CLAVICLE }), s("path", { class: "bone", d: ARCH })]),
    s("path", { class: "bone", d: "M143 70 H157 L155 84 L156 164 L150 178 L144 164 L145 84 Z" }),
    s("path", { class: "rib", d: "M145 8 V60 M155 8 V60" }),
    [14, 22, 30, 38, 46, 54].map((y) => s("path", { class: "rib", d: `M145 ${y} H155` })),
  ];
}

function back() {
  return [
    both(() => s("path", { class: "lung", d: LUNG_BACK })),
    both(() => RIBS_BACK.map((d) => s("path", { class: "rib", d }))),
    both(() => s("path", { class: "bone", d: SCAPULA })),
    Array.from({ length: 19 }, (_, k) => s("rect", { class: "bone", x: String(145 - (k > 13 ? 1 : 0)), y: String(12 + k * 15.2), width: String(k > 13 ? 12 : 10), height: "11", rx: "3" })),
  ];
}

/** A half and its mirror image. */
function both(half) {
  return [s("g", {}, half()), s("g", { transform: `translate(${WIDTH} 0) scale(-1 1)` }, half())];
}
