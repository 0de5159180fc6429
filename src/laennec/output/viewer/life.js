/** What ends together, in one place: listeners, requests, and whatever else a view or a viewer has begun. */

/** From the beginning of a view until another one is shown; of a viewer, until it is disposed of. */
export class Life {
  #control = new AbortController();
  #last = [];

  /** Aborted at the end: for requests, and for listeners of those that build on it. */
  get signal() {
    return this.#control.signal;
  }

  get ended() {
    return this.signal.aborted;
  }

  /** Listen to one kind of event, or to several, until the end. */
  on(target, kinds, listener, options) {
    for (const kind of [kinds].flat()) target.addEventListener(kind, listener, { ...options, signal: this.signal });
  }

  /** Have something be done at the end, the latest first; at once where the end has come. */
  atEnd(work) {
    if (this.ended) work();
    else this.#last.push(work);
  }

  /** End everything, also where a part of it fails. */
  end() {
    if (this.ended) return;
    this.#control.abort();
    const failures = [];
    for (const work of this.#last.splice(0).reverse()) {
      try {
        work();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length) throw failures[0];
  }
}
