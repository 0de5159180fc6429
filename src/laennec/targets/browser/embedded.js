/** What stands in the page itself, compressed. */

/** The bytes of a data block of the page, by its id. */
export async function content(id) {
  const letters = atob(document.getElementById(id).textContent);
  const packed = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** ONNX Runtime, whose module stands in a data block. */
export async function runtime(id) {
  const address = URL.createObjectURL(new Blob([await content(id)], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}
