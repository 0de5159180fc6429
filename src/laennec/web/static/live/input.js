/** An audio input of the computer: its samples as they are, without what browsers do for speech. */

const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** Why there is no input; `key` is that of the words for it. */
export class InputError extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

/** The audio inputs, [{id, name}]; names are empty until one was allowed. */
export async function inputs() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput").map(({ deviceId, label }) => ({ id: deviceId, name: label }));
}

/**
 * Open an audio input.
 *
 * @param {string|null} id of the input; null for the one that the browser offers first
 * @param {(samples: Float32Array) => void} take called with mono samples as they come
 * @param {() => void} lost called when the input is gone, as where its plug was pulled
 * @returns {Promise<{rate: number, name: string, id: string, close: () => void}>}
 * @throws {InputError}
 */
export async function openInput(id, take, lost) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new InputError("insecure");
  const audio = { ...RAW, channelCount: { ideal: 1 }, ...(id ? { deviceId: { exact: id } } : {}) };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio, video: false });
  } catch (error) {
    throw new InputError({ NotAllowedError: "refused", SecurityError: "refused", NotReadableError: "busy" }[error.name] ?? "missing");
  }
  const [track] = stream.getAudioTracks();
  const context = new AudioContext({ latencyHint: "interactive" });
  const close = () => {
    track.onended = null;
    track.stop();
    if (context.state !== "closed") context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("../capture-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(stream).connect(node);
    track.onended = lost;
    await context.resume();
  } catch (error) {
    close();
    throw error;
  }
  return { rate: context.sampleRate, name: track.label, id: track.getSettings().deviceId ?? "", close };
}
