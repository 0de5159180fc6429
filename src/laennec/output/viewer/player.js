/** The sound: an audio element, which asks the server for parts, and filters where they are wanted. */

const BANDS_HZ = { off: null, crackles: [100, 2000], wheezes: [100, 1000] };
export const BANDS = Object.keys(BANDS_HZ);
const GAINS_DB = [0, 6, 12, 18, 24];
export const GAINS = GAINS_DB;
const Q = [0.541, 1.307]; // of the two halves of a fourth-order Butterworth filter
const GLIDE_S = 0.02; // of a change of gain: without, it clicks
const LIMIT_DB = -2; // where gain would go beyond full scale

/**
 * @param {object} source of the viewer
 * @param {{moved: () => void, changed: () => void, failed: (message: string) => void}} events `moved`: the
 *   time has changed; `changed`: it plays or not, loops or not
 */
export function createPlayer(source, { moved, changed, failed }) {
  const audio = new Audio();
  audio.preload = "metadata";
  audio.preservesPitch = true;
  const control = new AbortController();
  let graph = null;
  let loop = null; // {start_s, end_s}
  let frame = 0;
  let effects = { gain_db: 0, band: "off" };
  let channel = -1;

  const repeat = () => {
    const t = audio.currentTime;
    if (loop && !audio.seeking && (t >= loop.end_s || t < loop.start_s - 0.05)) audio.currentTime = loop.start_s;
  };
  const tick = () => { // `timeupdate` comes four times a second: too seldom for a cursor or a short loop
    frame = 0;
    repeat();
    moved();
    if (!audio.paused) frame = requestAnimationFrame(tick);
  };
  const on = (kind, run) => audio.addEventListener(kind, run, { signal: control.signal });
  on("play", () => {
    frame ||= requestAnimationFrame(tick);
    changed();
  });
  on("pause", changed);
  on("timeupdate", repeat); // also while the page is hidden, where there are no frames
  on("seeked", moved);
  on("ended", () => {
    if (!loop) return;
    audio.currentTime = loop.start_s;
    audio.play().catch(() => {});
  });
  on("error", () => audio.hasAttribute("src") && failed(audio.error?.message ?? ""));

  const player = {
    audio,
    get t() {
      return audio.currentTime;
    },
    get playing() {
      return !audio.paused;
    },
    get looped() {
      return loop;
    },
    get slow() {
      return audio.playbackRate !== 1;
    },
    set slow(on) {
      audio.defaultPlaybackRate = audio.playbackRate = on ? 0.5 : 1;
      changed();
    },
    choose(of) {
      if (of === channel) return;
      channel = of;
      const { currentTime, playbackRate, paused } = audio;
      audio.src = source.soundUrl(channel);
      audio.playbackRate = playbackRate;
      audio.currentTime = currentTime;
      if (!paused) player.play();
    },
    async play() {
      try {
        await graph?.context.resume();
        await audio.play();
      } catch (error) {
        if (error.name !== "AbortError" && !control.signal.aborted) failed(error.message);
      }
    },
    pause: () => audio.pause(),
    seek(t) {
      const to = Math.max(0, Math.min(t, source.duration_s - 0.005));
      if (loop && (to < loop.start_s || to >= loop.end_s)) player.unloop();
      audio.currentTime = to;
      moved();
    },
    loop(start_s, end_s) {
      loop = { start_s, end_s: Math.min(end_s, source.duration_s) };
      audio.currentTime = start_s;
      changed();
      return player.play();
    },
    unloop() {
      if (!loop) return;
      loop = null;
      changed();
    },
    /** Amplify, in dB, and let only a band pass: one of BANDS. */
    setEffects(wanted) {
      effects = { ...effects, ...wanted };
      if (!graph && effects.gain_db === 0 && effects.band === "off") return;
      graph ??= connected(audio);
      graph.set(effects);
      if (player.playing) graph.context.resume();
    },
    get effects() {
      return effects;
    },
    dispose() {
      control.abort();
      cancelAnimationFrame(frame);
      audio.pause();
      audio.removeAttribute("src");
      audio.load(); // lets go of the connection and of what was loaded
      graph?.context.close();
      graph = null;
    },
  };
  return player;
}

function connected(audio) {
  const context = new AudioContext();
  const source = context.createMediaElementSource(audio);
  const gain = context.createGain();
  const limiter = context.createDynamicsCompressor();
  for (const [name, value] of Object.entries({ threshold: LIMIT_DB, knee: 0, ratio: 20, attack: 0.002, release: 0.1 })) {
    limiter[name].value = value;
  }
  let filters = [];
  return {
    context,
    set({ gain_db, band }) {
      for (const node of [source, ...filters, gain, limiter]) node.disconnect();
      filters = BANDS_HZ[band] ? bandPass(context, ...BANDS_HZ[band]) : [];
      gain.gain.setTargetAtTime(10 ** (gain_db / 20), context.currentTime, GLIDE_S);
      const chain = [source, ...filters, gain, ...(gain_db > 0 ? [limiter] : []), context.destination];
      for (let k = 1; k < chain.length; k += 1) chain[k - 1].connect(chain[k]);
    },
  };
}

/** Fourth order on either side: 24 dB an octave. */
function bandPass(context, low_hz, high_hz) {
  return [["highpass", low_hz], ["lowpass", high_hz]].flatMap(([type, frequency]) =>
    Q.map((q) => new BiquadFilterNode(context, { type, frequency, Q: 20 * Math.log10(q) })));
}
