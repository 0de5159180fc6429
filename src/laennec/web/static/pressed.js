/**
 * Nothing is drawn anew under a finger: a button that is replaced between a press and its release gets no click.
 * Whatever comes by itself, from the server or by a timer, waits until nothing is pressed.
 */

const pointers = new Set(); // that are down
let waiting = new Set();

const listen = (kind, run) => addEventListener(kind, run, { capture: true });

listen("pointerdown", ({ pointerId, button, target }) => {
  // The list of a select, and a menu of the browser, take the release for themselves.
  if (button === 0 && !target.closest?.("select")) pointers.add(pointerId);
});
listen("pointerup", ({ pointerId }) => setTimeout(release, 0, pointerId)); // once the click has been told
listen("pointercancel", ({ pointerId }) => release(pointerId));
listen("pointermove", ({ pointerId, buttons }) => buttons === 0 && release(pointerId)); // was let go elsewhere
listen("blur", ({ target }) => target === window && [...pointers].forEach(release));

function release(pointer) {
  if (!pointers.delete(pointer) || pointers.size > 0) return;
  const due = waiting;
  waiting = new Set();
  for (const work of due) work();
}

/** Do something at once, or, while something is pressed, after that; once, however often it is asked for. */
export function whenReleased(work) {
  if (pointers.size > 0) waiting.add(work);
  else work();
}

/** Resolves once nothing is pressed. */
export function released() {
  return new Promise(whenReleased);
}
