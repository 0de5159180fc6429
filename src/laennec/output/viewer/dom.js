/** Elements made by hand: no template, no markup from data, so nothing of a file name can become code. */

/**
 * An HTML element.
 *
 * @param {string} tag
 * @param {object} [attributes] `style` is an object of properties (the policy of the page forbids style
 *   attributes), `dataset` one of data; a function is a listener (`onclick`); false, null and undefined are
 *   left out, true is an empty attribute; everything else is text.
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Give an element attributes and children, as `h` does. */
export function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

function set(element, name, value) {
  if (value == null || value === false) return;
  if (name === "style") {
    for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
  } else if (name === "dataset") Object.assign(element.dataset, value);
  else if (typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Have an element hold these children and no others. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** A button with text; `attributes` as for `h`. */
export function button(label, onclick, attributes) {
  return h("button", { type: "button", onclick, ...attributes }, label);
}

/** A field with its label before it. */
export function field(label, control, attributes) {
  return h("label", { class: "field", ...attributes }, h("span", {}, label), control);
}

/** A choice: `options` are [value, text] pairs. */
export function choice(options, value, onchange, attributes) {
  const made = options.map(([key, text]) => h("option", { value: key, selected: key === value }, text));
  return h("select", { onchange: (event) => onchange?.(event.target.value), ...attributes }, made);
}

/** Call `work` once in the next frame, however often it is asked for; returns {ask, cancel}. */
export function everyFrame(work) {
  let frame = 0;
  const ask = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      work();
    });
  };
  return {
    ask,
    cancel: () => {
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}
