/**
 * The table of recordings: a grid for keyboard and screen readers, of which only the rows on the screen
 * exist, so that twenty thousand are as quick as twenty.
 */

import { everyFrame, h } from "../dom.js";
import { whenReleased } from "../pressed.js";
import { text } from "../text.js";
import { cell, COLUMNS } from "./cells.js";
import { edit } from "./editing.js";
import { asked } from "./rows.js";

const AHEAD = 8; // rows that are made before they are seen
const OVERHEAD = 2; // the rows of a page that are seen again on the next

/** Which cell is the active one; kept while other views are shown. */
const active = { id: null, column: 1 };

/**
 * @param {object} app
 * @param {{changed: () => void, chosen: Set, save: (row, changes) => Promise<void>, life: Life}} options
 *   `changed` is called when the order or the choice changed.
 * @returns {{element: HTMLElement, show: (rows: object[]) => void, update: (row: object) => void}}
 */
export function createTable(app, options) {
  return new Table(app, options);
}

class Table {
  #app;
  #options;
  #rows = [];
  #places = new Map(); // id → index
  #made = new Map(); // id → {row, element}
  #height = 36;
  #heads = [];
  #frame = everyFrame(() => whenReleased(this.#drawn));
  #drawn = () => this.#draw();

  constructor(app, options) {
    this.#app = app;
    this.#options = options;
    this.before = h("tr", { class: "space", "aria-hidden": "true" }, h("td", { colspan: String(COLUMNS.length) }));
    this.after = this.before.cloneNode(true);
    this.body = h("tbody", {}, this.before, this.after);
    this.element = h("table", { class: "recordings", role: "grid", tabindex: "-1", "aria-label": text("app.recordings"),
      "aria-colcount": String(COLUMNS.length), onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event),
      ondblclick: (event) => this.#open(event), onfocusin: (event) => this.#focused(event), onchange: (event) => this.#choose(event) },
    h("thead", {}, h("tr", { "aria-rowindex": "1" }, this.#head())), this.body);
    const { life } = options;
    life.on(window, "scroll", this.#frame.ask, { passive: true });
    life.on(window, ["resize", "afterprint"], this.#frame.ask);
    life.on(window, "beforeprint", () => this.#draw(true)); // paper has all rows
    life.atEnd(this.#frame.cancel);
  }

  /** Have these rows, in this order. */
  show(rows) {
    this.#rows = rows;
    this.#places = new Map(rows.map((row, place) => [row.id, place]));
    this.element.setAttribute("aria-rowcount", String(rows.length + 1));
    this.#draw();
  }

  /** Draw a row anew, where it is on the screen. */
  update(row) {
    const place = this.#places.get(row.id);
    if (place === undefined) return;
    this.#rows[place] = row;
    this.#frame.ask();
  }

  /** Draw all rows anew: what is chosen changed. */
  redraw() {
    for (const [id, made] of this.#made) if (!made.element.querySelector(".editing")) this.#made.delete(id);
    this.#draw();
  }

  /** Have the active cell get the keys. */
  focus() {
    this.#go(this.#places.get(active.id) ?? 0, active.column);
  }

  #head() {
    this.#heads = COLUMNS.map((column) => {
      const name = text(`list.column.${column.key}`);
      if (!column.sorted) return h("th", { scope: "col", class: column.key }, h("span", { class: "hidden" }, name));
      const sort = h("button", { type: "button", class: "plain sort", onclick: () => this.#sort(column.key) }, name);
      return h("th", { scope: "col", class: column.key, dataset: { sort: column.key } }, sort);
    });
    this.#showSort();
    return this.#heads;
  }

  #sort(key) {
    asked.descending = asked.sort === key && !asked.descending;
    asked.sort = key;
    this.#showSort();
    this.#options.changed();
  }

  #showSort() {
    for (const head of this.#heads) {
      if (head.dataset.sort === asked.sort) head.setAttribute("aria-sort", asked.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  #draw(isWhole = false) {
    if (!this.element.isConnected) return;
    const [first, last] = isWhole ? [0, this.#rows.length] : this.#seen();
    const hadFocus = this.body.contains(document.activeElement);
    const seen = new Map();
    for (let place = first; place < last; place++) seen.set(this.#rows[place].id, this.#element(this.#rows[place], place));
    for (const [id, { element }] of this.#made) if (!seen.has(id)) element.remove();
    this.#made = seen;
    let next = this.before.nextSibling;
    for (const { element } of seen.values()) {
      if (element === next) next = next.nextSibling;
      else this.body.insertBefore(element, next);
    }
    this.before.firstChild.style.height = `${first * this.#height}px`;
    this.after.firstChild.style.height = `${(this.#rows.length - last) * this.#height}px`;
    this.before.hidden = !first;
    this.after.hidden = last === this.#rows.length;
    this.#makeReachable();
    if (hadFocus && !this.body.contains(document.activeElement)) this.#refocus();
    this.#measure();
  }

  /** The first of the rows on the screen, and the one after the last, with some around. */
  #seen() {
    const top = -this.body.getBoundingClientRect().top;
    const within = (place) => Math.max(0, Math.min(this.#rows.length, place));
    const first = within(Math.floor(top / this.#height) - AHEAD);
    return [first, Math.max(first, within(Math.ceil((top + innerHeight) / this.#height) + AHEAD))];
  }

  #element(row, place) {
    const made = this.#made.get(row.id);
    if (made && (made.row === row || made.element.querySelector(".editing"))) {
      made.element.setAttribute("aria-rowindex", String(place + 2));
      return made;
    }
    const chosen = this.#options.chosen.has(row.id);
    const cells = COLUMNS.map((column) => cell(this.#app, column, row, chosen));
    const element = h("tr", { dataset: { id: String(row.id) }, class: row.state, "aria-rowindex": String(place + 2),
      "aria-selected": String(chosen) }, cells);
    made?.element.replaceWith(element);
    return { row, element };
  }

  /** The height of a row is the style's, which depends on the width of the window. What has the focus stays in sight. */
  #measure() {
    const [one] = this.#made.values();
    const height = one?.element.getBoundingClientRect().height;
    if (!height || Math.abs(height - this.#height) <= 0.5) return;
    this.#height = height;
    const focused = document.activeElement;
    if (!this.body.contains(focused) || focused.closest(".editing")) {
      this.#frame.ask();
      return;
    }
    this.#draw(); // so that the page is as high as its rows
    this.#go(this.#places.get(active.id) ?? 0, active.column);
  }

  #makeReachable() {
    const known = this.#made.get(active.id) ?? this.#made.values().next().value;
    for (const reachable of this.body.querySelectorAll('td[tabindex="0"]')) reachable.tabIndex = -1;
    const target = known?.element.children[Math.min(active.column, known.element.children.length - 1)];
    if (target) target.tabIndex = 0;
  }

  #refocus() {
    const made = this.#made.get(active.id);
    (made ? made.element.children[Math.min(active.column, made.element.children.length - 1)] : this.element)
      .focus({ preventScroll: true });
  }

  /** Make a cell the active one, and have it seen. */
  #go(place, column) {
    const at = Math.max(0, Math.min(this.#rows.length - 1, place));
    active.id = this.#rows[at]?.id ?? null;
    active.column = Math.max(0, Math.min(COLUMNS.length - 1, column));
    const head = this.element.tHead.getBoundingClientRect().bottom;
    const top = this.body.getBoundingClientRect().top + at * this.#height;
    if (top < head) scrollBy(0, top - head);
    else if (top + this.#height > innerHeight) scrollBy(0, top + this.#height - innerHeight + 4);
    this.#draw();
    this.#refocus();
  }

  #key(event) {
    const target = event.target.closest("td");
    if (event.target.closest(".editing") || (target === null && event.target !== this.element)) return;
    const place = this.#places.get(active.id) ?? 0;
    const page = Math.max(1, Math.floor((innerHeight - 100) / this.#height) - OVERHEAD);
    const moves = {
      ArrowDown: [place + 1, active.column], ArrowUp: [place - 1, active.column],
      ArrowRight: [place, active.column + 1], ArrowLeft: [place, active.column - 1],
      PageDown: [place + page, active.column], PageUp: [place - page, active.column],
      Home: event.ctrlKey ? [0, 0] : [place, 0], End: event.ctrlKey ? [Infinity, 99] : [place, COLUMNS.length - 1],
    };
    if (event.altKey || event.metaKey || (event.ctrlKey && !["Home", "End"].includes(event.key))) return;
    if (moves[event.key]) this.#go(...moves[event.key]);
    else if (event.key === "Enter" || event.key === "F2") this.#act(place, event.key === "F2");
    else if (event.key === " ") this.#toggle(this.#rows[place]);
    else return;
    event.preventDefault();
  }

  /** Enter: edit what can be edited, open everything else. */
  #act(place, onlyEdit) {
    const row = this.#rows[place];
    const column = COLUMNS[active.column];
    if (!row) return;
    if (column.edited) this.#edit(row, column);
    else if (!onlyEdit) this.#app.navigate(`#/recording/${row.id}`);
  }

  #click(event) {
    const target = event.target.closest("td");
    const row = this.#rowOf(target);
    if (!row) return;
    const action = event.target.closest("button[data-action]");
    if (action) this.#options.act(action.dataset.action, row);
    const column = COLUMNS.find(({ key }) => target.dataset.column === key);
    const isPlain = !event.target.closest("a, button, input, select");
    if (isPlain && column?.edited) this.#edit(row, column);
  }

  #open(event) {
    const target = event.target.closest("td");
    const row = this.#rowOf(target);
    if (row && !event.target.closest("a, button, input, select, .editing")) this.#app.navigate(`#/recording/${row.id}`);
  }

  #focused(event) {
    const target = event.target.closest("td");
    const row = this.#rowOf(target);
    if (!row) return;
    active.id = row.id;
    active.column = [...target.parentNode.children].indexOf(target);
    this.#makeReachable();
  }

  #rowOf(target) {
    const id = target?.parentNode.dataset.id;
    return id === undefined ? null : this.#rows.find((row) => String(row.id) === id);
  }

  #choose(event) {
    const row = event.target.matches(".chosen input") ? this.#rowOf(event.target.closest("td")) : null;
    if (row) this.#toggle(row);
  }

  #toggle(row) {
    if (!row) return;
    const { chosen, changed } = this.#options;
    if (!chosen.delete(row.id)) chosen.add(row.id);
    this.#made.delete(row.id) && this.body.querySelector(`tr[data-id="${row.id}"]`)?.remove();
    changed();
    this.#refocus();
  }

  async #edit(row, column) {
    const target = this.#made.get(row.id)?.element.querySelector(`td[data-column="${column.key}"]`);
    if (!target || target.querySelector(".editing")) return;
    const step = await edit(this.#app, target, row, column, (changes) => this.#options.save(row, changes));
    if (this.#options.life.ended) return;
    this.#made.delete(row.id);
    target.parentNode?.remove();
    const place = this.#places.get(row.id) ?? 0;
    if (step) this.#go(place + step, active.column);
    else this.#draw();
    if (step === 0) this.#refocus();
  }
}
