/** Elements made by hand; the viewer has the same, and is part of reports too. */

export * from "./viewer/dom.js";
