/**
 * What an edit makes of a state, until the server has said it: the same rules as the server's, in short. The
 * server's answer replaces it.
 */

/** A state with an edit done; `made` are the ids of the events that it makes. */
export function applied(state, edit, made) {
  const work = { ...state, events: [...state.events], rejected: [...state.rejected], offered: [...state.offered] };
  KINDS[edit.kind]?.(work, edit, made);
  work.events.sort((a, b) => a.start_s - b.start_s || a.end_s - b.end_s);
  return work;
}

/** How many events an edit makes. */
export function countMade(edit) {
  return edit.kind === "add" || edit.kind === "split" ? edit.events.length : 0;
}

/** The edits that hold of some in their order: an undo takes the one before with it. */
export function holding(entries) {
  const done = [], undone = [];
  for (const entry of entries) {
    if (entry.edit.kind === "undo") { if (done.length) undone.push(done.pop()); }
    else if (entry.edit.kind === "redo") { if (undone.length) done.push(undone.pop()); }
    else {
      done.push(entry);
      undone.length = 0;
    }
  }
  return done;
}

const decided = (event) => ({ ...event, status: event.suggestion ? "changed" : "added" });

function eachNamed(work, edit, change) {
  work.events = work.events.flatMap((event) => (edit.events.includes(event.id) ? change(event) : [event]));
}

const KINDS = {
  add(work, edit, made) {
    const events = edit.events.map((event, k) => ({
      channel: 0, layer: "events", ...event, id: made[k], status: "added", suggestion: null, others: [] }));
    work.events.push(...events);
  },
  change(work, edit) {
    const { kind, events, ...values } = edit;
    eachNamed(work, edit, (event) => [decided({ ...event, ...values })]);
  },
  delete(work, edit) {
    eachNamed(work, edit, (event) => {
      if (event.suggestion) work.rejected.push({ ...event, ...event.suggestion, suggestion: event.suggestion, status: "rejected" });
      return [];
    });
  },
  accept(work, edit) {
    eachNamed(work, edit, (event) => [{ ...event, status: event.status === "suggested" ? "accepted" : event.status }]);
    for (const name of ["rejected", "offered"]) {
      const back = work[name].filter((event) => edit.events.includes(event.id));
      work[name] = work[name].filter((event) => !back.includes(event));
      work.events.push(...back.map((event) => ({ ...event, status: "accepted" })));
    }
  },
  split(work, edit, made) {
    let k = 0;
    eachNamed(work, edit, (event) => [
      decided({ ...event, end_s: edit.at_s }), decided({ ...event, id: made[k++], start_s: edit.at_s })]);
  },
  merge(work, edit) {
    const merged = work.events.filter((event) => edit.events.includes(event.id));
    if (merged.length < 2) return;
    const [first] = merged;
    work.events = work.events.filter((event) => !merged.includes(event));
    work.events.push(decided({ ...first, end_s: Math.max(...merged.map((event) => event.end_s)) }));
  },
  record(work, edit) {
    work.record = edit.label;
  },
  review(work, edit) {
    work.reviewed = edit.reviewed;
  },
};
