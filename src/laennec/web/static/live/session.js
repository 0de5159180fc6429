/** A recording that is being made: its sound goes to the server in parts, in order, none lost or sent twice. */

const PART_S = 0.5;
const LONGEST_PART_S = 15; // what has waited for a server that was busy goes in one
const RETRY_MS = 1000;
const RETRIES = 20;

export class Session {
  #api;
  #rate;
  #waiting = [];
  #length = 0; // samples that wait
  #number = 0;
  #busy = null;
  #failed = null;
  #ending = false;

  /**
   * @param {typeof import("../api.js")} api
   * @param {string} id as the server calls it
   * @param {number} rate
   * @param {(news: object) => void} tell called with what each part has brought
   * @param {(error: Error) => void} fail called when no more can be sent
   */
  constructor(api, id, rate, tell, fail) {
    Object.assign(this, { id, tell, fail });
    this.#api = api;
    this.#rate = rate;
  }

  /** Begin a recording; `facts` are of the patient. */
  static async begin(api, rate, facts, tell, fail) {
    const { id } = await api.post("live", { sample_rate: rate, ...facts });
    return new Session(api, id, rate, tell, fail);
  }

  /** Take samples in. */
  add(samples) {
    if (this.#failed) return;
    this.#waiting.push(samples);
    this.#length += samples.length;
    if (this.#length >= PART_S * this.#rate) this.#send();
  }

  /** Send what is left, and end the recording; returns its row. The page may be gone before the answer. */
  async end() {
    this.#ending = true;
    await this.#send();
    while (this.#waiting.length && !this.#failed) await this.#send();
    return this.#api.request(`live/${this.id}/end`, { method: "POST", body: "" });
  }

  /** Have the server keep what came, without waiting: the page goes. */
  leave() {
    this.#failed = new Error("left");
    this.#api.request(`live/${this.id}/leave`, { method: "POST", body: "" }).catch(() => {}); // it ends by itself
  }

  #send() {
    this.#busy ??= this.#sendAll().finally(() => (this.#busy = null));
    return this.#busy;
  }

  async #sendAll() {
    while (this.#length >= (this.#ending ? 1 : PART_S * this.#rate) && !this.#failed) {
      const part = this.#taken();
      try {
        this.tell(await this.#posted(part));
        this.#number += 1;
      } catch (error) {
        this.#failed = error;
        this.fail(error);
      }
    }
  }

  /** What waits, as one part. */
  #taken() {
    const most = LONGEST_PART_S * this.#rate;
    const parts = [];
    let length = 0;
    while (this.#waiting.length && length + this.#waiting[0].length <= most) {
      length += this.#waiting[0].length;
      parts.push(this.#waiting.shift());
    }
    this.#length -= length;
    const whole = new Float32Array(length);
    let first = 0;
    for (const part of parts) {
      whole.set(part, first);
      first += part.length;
    }
    return whole;
  }

  /** Send a part until the server has it; it keeps none twice. */
  async #posted(part) {
    for (let trial = 0; ; trial += 1) {
      try {
        return await this.#api.request(`live/${this.id}/sound?part=${this.#number}&heard=${!this.#ending}`, {
          method: "POST", body: part, headers: { "Content-Type": "application/octet-stream" },
        });
      } catch (error) {
        if (error.status !== 0 || trial === RETRIES || this.#failed) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
