/** Where a viewer gets tiles, waveform and sound from: here, the server. */

/**
 * @param {string|number} id of a recording
 * @param {{signal?: AbortSignal, base?: string}} [options]
 * @returns {Promise<object>} a source, as `createViewer` takes it
 * @throws {Error} with the server's sentence
 */
export async function serverSource(id, { signal, base = "api/v1/" } = {}) {
  const address = `${base}recordings/${encodeURIComponent(id)}`;
  const facts = await (await answered(`${address}/spectrogram`, signal)).json();
  return {
    duration_s: facts.duration_s,
    channels: facts.channels,
    topHz: facts.top_hz,
    columnS: facts.column_s,
    levels: facts.levels,
    referenceDb: facts.reference_db,
    rangeDb: facts.range_db,
    windowsMs: facts.windows_ms,
    async tile(channel, level, index, windowMs, wanted) {
      const query = `channel=${channel}&window_ms=${windowMs}&version=${facts.version}`;
      return bitmap(await (await answered(`${address}/tiles/${level}/${index}.png?${query}`, wanted)).blob());
    },
    async waveform(channel, start_s, end_s, columns, wanted) {
      const query = `channel=${channel}&start_s=${start_s}&end_s=${end_s}&columns=${columns}`;
      return new Int8Array(await (await answered(`${address}/waveform?${query}`, wanted)).arrayBuffer());
    },
    soundUrl: (channel) => `${address}/sound/${channel}.wav`,
  };
}

/** A picture as its pixels are, without a change of colours. */
export function bitmap(blob) {
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

async function answered(address, signal) {
  const response = await fetch(address, { signal });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `${response.status}`);
}
