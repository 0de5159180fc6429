/** The viewers of a report: everything they show stands in the page. */

import { createViewer } from "./viewer.js";

/**
 * Put a viewer into each channel's section, in place of its picture, and let the table of events act on them.
 *
 * @param {{text: object, labels: object, channels: object[], events: object[]}} data as `page_viewer.py` has it
 */
export function start(data) {
  document.documentElement.classList.add("js");
  const text = (key, values = {}) => (data.text[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  const label = (name) => data.labels[name];
  const viewers = new Map(); // channel: viewer
  for (const channel of data.channels) {
    const place = document.querySelector(`section.channel[data-channel="${channel.channel}"] .viewer-place`);
    const viewer = createViewer(place, embedded(channel), { text, label, sound: Boolean(channel.sound) });
    const own = data.events.filter((event) => event.channel === channel.channel);
    viewer.setEvents(own.map((event) => ({ ...event, channel: 0 })));
    viewer.addEventListener("select", ({ detail }) => mark(detail.id));
    viewer.setBreathing(channel.breathing && [{ ...channel.breathing, channel: 0 }]);
    viewers.set(channel.channel, viewer);
  }
  const of = (row) => {
    const event = data.events.find(({ id }) => id === row?.dataset.event);
    return [event, viewers.get(event?.channel)];
  };
  document.querySelector(".events").addEventListener("click", ({ target }) => {
    const [event, viewer] = of(target.closest("tr[data-event]"));
    if (!viewer) return;
    viewer.select(event.id);
    if (!target.closest("button.loop")) return;
    for (const other of viewers.values()) if (other !== viewer) other.pause();
    viewer.loop(event.start_s, event.end_s);
  });
}

function mark(id) {
  for (const row of document.querySelectorAll("tr[data-event]")) row.classList.toggle("selected", row.dataset.event === id);
}

/** A source of what stands in the page: tiles and sound as data addresses, the waveform as its extremes. */
function embedded(channel) {
  const pairs = Int8Array.from(atob(channel.wave), (byte) => byte.charCodeAt(0));
  const columns_s = pairs.length / 2 / channel.duration_s;
  return {
    duration_s: channel.duration_s,
    channels: 1,
    topHz: channel.top_hz,
    columnS: channel.column_s,
    levels: channel.tiles.length,
    rangeDb: channel.range_db,
    windowsMs: [channel.window_ms],
    async tile(_, level, index) {
      const image = new Image();
      image.src = `data:image/png;base64,${channel.tiles[level][index]}`;
      await image.decode();
      return image;
    },
    async waveform(_, start_s, end_s, columns) {
      const found = new Int8Array(2 * columns);
      const per_column = ((end_s - start_s) / columns) * columns_s;
      for (let k = 0; k < columns; k += 1) {
        const first = Math.min(pairs.length / 2 - 1, Math.floor(start_s * columns_s + k * per_column));
        const last = Math.min(pairs.length / 2, Math.max(first + 1, Math.ceil(start_s * columns_s + (k + 1) * per_column)));
        let low = 127, high = -128;
        for (let j = first; j < last; j += 1) {
          low = Math.min(low, pairs[2 * j]);
          high = Math.max(high, pairs[2 * j + 1]);
        }
        found[2 * k] = low;
        found[2 * k + 1] = high;
      }
      return found;
    },
    soundUrl: () => document.getElementById(channel.sound).src,
  };
}
