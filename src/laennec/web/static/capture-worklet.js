/** Hands the samples of an audio input on, as they are: it runs in the browser's audio thread. */

const LENGTH = 2048; // samples that are handed on at a time: 43 ms at 48 kHz

class Capture extends AudioWorkletProcessor {
  #held = new Float32Array(LENGTH);
  #length = 0;

  process([input]) {
    const samples = input[0]; // a stethoscope's interface has its sound in the first channel
    if (!samples) return true;
    for (let start = 0; start < samples.length;) {
      const count = Math.min(samples.length - start, LENGTH - this.#length);
      this.#held.set(samples.subarray(start, start + count), this.#length);
      this.#length += count;
      start += count;
      if (this.#length === LENGTH) this.#hand();
    }
    return true;
  }

  #hand() {
    this.port.postMessage(this.#held, [this.#held.buffer]);
    this.#held = new Float32Array(LENGTH);
    this.#length = 0;
  }
}

registerProcessor("capture", Capture);
