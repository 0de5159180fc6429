/** Events in lanes above the waveform: buttons, of which only those exist that can be seen. */

import { readableOn } from "./colours.js";
import { h } from "./dom.js";
import { fixed } from "./decimals.js";

const MOST = 250; // buttons; where more would be seen, they are drawn, and zooming in makes them buttons
const MOST_LANES = 6; // of a layer; what overlaps still more lies on the last one
const LETTER_PX = 7, AIR_PX = 6;
const EDGE_PX = 1; // between neighbours

/**
 * @param {{label: (name: string) => object, text: Function, select: (id: string|null) => void}} options
 *   `label`: {text, short, colour} of a label; `names`: those of the layers, from above
 */
export function createLanes({ label, text, names, select, changed }) {
  const element = h("div", { class: "viewer-lanes", role: "group", "aria-label": text("viewer.events") });
  const canvas = h("canvas", { class: "viewer-dense", "aria-hidden": "true" });
  const layers = Object.fromEntries(names.map((name) => [name, { events: [], longest_s: 0, lanes: 0 }]));
  const buttons = new Map(); // id: element
  let byId = new Map();
  let channel = 0;
  let selected = null;
  let stale = new Set(); // ids whose buttons are to be made anew

  element.addEventListener("click", (event) => {
    const button = event.target.closest("button.event");
    if (button && !event.defaultPrevented) select(button.dataset.id);
  });
  element.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.defaultPrevented || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    const next = lanes.beside(event.target.dataset.id, step);
    event.preventDefault();
    if (!next) return;
    select(next.id);
    requestAnimationFrame(() => buttons.get(next.id)?.focus());
  });

  const arrange = () => {
    let top = 0;
    byId = new Map();
    for (const name of names) {
      const layer = layers[name];
      layer.shown = layer.events.filter((event) => event.channel === channel);
      layer.longest_s = Math.max(0, ...layer.shown.map((event) => event.end_s - event.start_s));
      layer.lanes = layer.shown.length ? assign(layer.shown) : 0;
      layer.top = top;
      top += layer.lanes;
      for (const event of layer.shown) byId.set(event.id, event);
    }
    element.style.setProperty("--lanes", Math.max(1, top));
    for (const [id, button] of buttons) if (!byId.has(id)) drop(id, button);
    stale = new Set(buttons.keys());
    changed();
  };

  const drop = (id, button) => {
    button.remove();
    buttons.delete(id);
  };

  const made = (event, name) => {
    const { colour, text: words, short } = label(event.label);
    const button = buttons.get(event.id) ?? h("button", { type: "button", tabindex: "-1" });
    const described = description(event, words, text);
    button.className = `event${event.uncertain ? " uncertain" : ""}`;
    Object.assign(button.dataset, { id: event.id, layer: name, channel: event.channel, status: event.status ?? "" });
    button.setAttribute("aria-label", described);
    button.title = described;
    button.style.setProperty("--colour", colour);
    button.style.setProperty("--on", readableOn(colour));
    button.style.setProperty("--row", layers[name].top + (event.lane ?? 0));
    const sign = event.uncertain ? " ?" : "";
    button.words = [words + sign, short + sign, ""];
    button.shown = null;
    return button;
  };

  const place = (event, name, axis) => {
    let button = buttons.get(event.id);
    if (!button || stale.has(event.id)) {
      button = made(event, name);
      stale.delete(event.id);
      if (!buttons.has(event.id)) element.append(button);
      buttons.set(event.id, button);
    }
    const from = Math.max(-2, axis.x(event.start_s)), to = Math.min(axis.width + 2, axis.x(event.end_s));
    const width = Math.max(3, to - from - EDGE_PX);
    button.style.transform = `translateX(${from.toFixed(1)}px)`;
    button.style.width = `${width.toFixed(1)}px`;
    const words = button.words.find((each) => each.length * LETTER_PX + AIR_PX <= width) ?? "";
    if (words !== button.shown) button.textContent = button.shown = words;
  };

  const lanes = {
    element,
    canvas,
    /** Show these events in a layer, in place of those before. */
    setEvents(events, name) {
      layers[name].events = [...events].sort((a, b) => a.start_s - b.start_s || a.end_s - b.end_s);
      arrange();
    },
    choose(of) {
      channel = of;
      arrange();
    },
    get: (id) => byId.get(id) ?? names.flatMap((name) => layers[name].events).find((event) => event.id === id),
    shown: (name) => layers[name]?.shown ?? [],
    get rows() {
      return names.map((name) => ({ name, lanes: layers[name].lanes })).filter((row) => row.lanes);
    },
    /** The event before or after one, or after a time. */
    beside(id, step, t = 0) {
      const own = names.find((name) => layers[name].shown?.some((event) => event.id === id)) ?? names[0];
      const all = layers[own].shown ?? [];
      const at = all.findIndex((event) => event.id === id);
      if (at >= 0) return all[at + step];
      return step > 0 ? all.find((event) => event.start_s >= t) : all.findLast((event) => event.start_s < t);
    },
    mark(id) {
      selected = id;
      changed();
    },
    focus: (id) => buttons.get(id)?.focus(),
    update(axis, scale) {
      const seen = names.map((name) => [name, within(layers[name], axis)]);
      const dense = seen.reduce((sum, [, events]) => sum + events.length, 0) > MOST;
      const wanted = new Set();
      paint(canvas, dense ? seen : [], layers, axis, label, scale);
      for (const [name, events] of seen) {
        for (const event of events) {
          if (dense && event.id !== selected) continue;
          wanted.add(event.id);
          place(event, name, axis);
        }
      }
      for (const [id, button] of buttons) {
        // The one with the focus stays, or keys would act on nothing.
        if (!wanted.has(id) && button !== document.activeElement) drop(id, button);
      }
      const stop = wanted.has(selected) ? selected : wanted.values().next().value;
      for (const [id, button] of buttons) {
        button.tabIndex = id === stop ? 0 : -1;
        button.setAttribute("aria-pressed", String(id === selected));
      }
      element.classList.toggle("dense", dense);
    },
    dispose() {
      buttons.clear();
      element.remove();
      canvas.width = canvas.height = 0;
    },
  };
  return lanes;
}

/** Give each event the first lane that is free, in order of time; returns the number of lanes. */
function assign(events) {
  const ends_s = [];
  for (const event of events) {
    let lane = ends_s.findIndex((end_s) => end_s <= event.start_s + 1e-6);
    if (lane < 0) lane = Math.min(ends_s.length, MOST_LANES - 1);
    ends_s[lane] = Math.max(ends_s[lane] ?? 0, event.end_s);
    event.lane = lane;
  }
  return ends_s.length;
}

function within({ shown = [], longest_s }, axis) {
  let low = 0, high = shown.length; // the first that can reach into sight
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shown[middle].start_s < axis.start_s - longest_s) low = middle + 1;
    else high = middle;
  }
  const found = [];
  for (let k = low; k < shown.length && shown[k].start_s < axis.end_s; k += 1) {
    if (shown[k].end_s > axis.start_s) found.push(shown[k]);
  }
  return found;
}

function paint(canvas, seen, layers, axis, label, scale) {
  if (seen.length === 0 && canvas.hidden) return;
  canvas.hidden = seen.length === 0;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const total = Object.values(layers).reduce((sum, layer) => sum + layer.lanes, 0) || 1;
  const height = canvas.height / total;
  for (const [name, events] of seen) {
    for (const event of events) {
      const x = axis.x(event.start_s) * scale;
      context.fillStyle = label(event.label).colour;
      context.fillRect(x, (layers[name].top + event.lane) * height + 1, Math.max(scale, axis.x(event.end_s) * scale - x), height - 3);
    }
  }
}

function description(event, words, text) {
  const parts = [
    words,
    event.uncertain && text("viewer.uncertain"),
    text("viewer.from_to", { start: fixed(event.start_s, 2), end: fixed(event.end_s, 2) }),
    event.probability != null && text("viewer.probability", { value: fixed(event.probability, 2) }),
    event.status && text(`viewer.status_${event.status}`),
  ];
  return parts.filter(Boolean).join(", ");
}
