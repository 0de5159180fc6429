/** Editing a cell in its place: what is known of patient and position. */

import { choice, h, replace } from "../dom.js";
import { toastError } from "../dialogs.js";
import { text, textOr } from "../text.js";
import { placeName } from "./cells.js";

/**
 * Edit a cell; resolves when it is left with the step to the next row: 1 after Enter, 0 after Escape, null
 * where the focus went elsewhere.
 *
 * @param {object} app
 * @param {HTMLElement} cell
 * @param {object} row
 * @param {{key: string, edited: string}} column
 * @param {(changes: object) => Promise<void>} save
 * @returns {Promise<number|null>}
 */
export function edit(app, cell, row, column, save) {
  const before = row[column.key];
  const control = controlOf(app, column, before);
  control.classList.add("editing");
  control.setAttribute("aria-label", `${text(`list.column.${column.key}`)}: ${row.name}`);
  replace(cell, control);
  control.focus();
  control.select?.();
  openPicker(control);
  return new Promise((resolve) => {
    let isOver = false;
    const leave = async (step, keep) => {
      if (isOver) return;
      isOver = true;
      const value = valueOf(control, column);
      if (keep && value !== before) await save({ [column.key]: value }).catch(toastError);
      resolve(step);
    };
    control.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave(0, false);
      else if (event.key === "Enter") leave(event.shiftKey ? -1 : 1, true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    control.addEventListener("blur", () => leave(null, true));
  });
}

/** Open a list of choices at once where that is allowed: after a click, not for a program. */
function openPicker(control) {
  if (control.tagName !== "SELECT" || !navigator.userActivation?.isActive) return;
  try {
    control.showPicker?.();
  } catch {
    // It opens by the next key or click.
  }
}

function controlOf(app, column, value) {
  if (column.key === "sex") {
    return choice([["", "–"], ...["female", "male"].map((sex) => [sex, textOr(`sex.${sex}`, sex)])], value ?? "");
  }
  if (column.key === "position") {
    const places = app.labels.positions.map((place) => place.name);
    const known = value && !places.includes(value) ? [value, ...places] : places;
    return choice([["", "–"], ...known.map((place) => [place, placeName(place)])], value ?? "");
  }
  const numeric = column.edited === "number" ? { type: "number", min: "0", max: "130", step: "any" } : { type: "text", maxlength: "200" };
  return h("input", { ...numeric, value: value ?? "", autocomplete: "off" });
}

function valueOf(control, column) {
  const value = control.value.trim();
  if (!value) return null;
  return column.edited === "number" ? Number(value) : value;
}
