/** What the model said, as a thin outline where a reader has corrected it. */

import { everyFrame, h } from "../dom.js";

const MOST = 200;
const SAME_S = 0.0005;

/** Draw over the lanes of a viewer; returns {show(state, shift), update, dispose}. */
export function createOutlines(viewer) {
  const element = h("div", { class: "edit-outlines", "aria-hidden": "true" });
  const frame = everyFrame(() => draw());
  const { signal } = viewer;
  let corrected = []; // {layer, channel, start_s, end_s, label, row, rejected}
  viewer.lanes.parentElement.append(element);
  for (const kind of ["time", "channel", "events"]) viewer.addEventListener(kind, () => frame.ask(), { signal });
  const size = new ResizeObserver(() => frame.ask());
  size.observe(viewer.lanes);

  const draw = () => {
    const { time, channel } = viewer;
    const rows = viewer.lanesView.rows;
    const above = { events: 0, phases: rows.find(({ name }) => name === "events")?.lanes ?? 0 };
    const seen = corrected.filter((each) => each.channel === channel && each.end_s > time.start_s && each.start_s < time.end_s
      && rows.some(({ name }) => name === each.layer)).slice(0, MOST);
    while (element.children.length > seen.length) element.lastChild.remove();
    while (element.children.length < seen.length) element.append(h("span", {}));
    seen.forEach((each, k) => {
      const mark = element.children[k];
      const from = time.x(each.start_s);
      mark.className = each.rejected ? "rejected" : "";
      mark.style.setProperty("--row", above[each.layer] + (each.event?.lane ?? 0));
      mark.style.setProperty("--colour", viewer.label(each.label).colour);
      mark.style.transform = `translateX(${from.toFixed(1)}px)`;
      mark.style.width = `${Math.max(3, time.x(each.end_s) - from).toFixed(1)}px`;
    });
  };

  return {
    /** Show what was corrected among events, which are those that the viewer has, and what was rejected. */
    show(events, rejected) {
      const changed = events.flatMap((event) => [event.suggestion, ...(event.others ?? [])]
        .filter((said) => said && differs(event, said)).map((said) => ({ ...said, layer: event.layer, event })));
      corrected = [...changed, ...rejected.map((event) => ({ ...event, rejected: true }))];
      frame.ask();
    },
    dispose() {
      frame.cancel();
      size.disconnect();
      element.remove();
    },
  };
}

const differs = (event, said) => event.label !== said.label
  || Math.abs(event.start_s - said.start_s) > SAME_S || Math.abs(event.end_s - said.end_s) > SAME_S;
