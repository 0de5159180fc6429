/** Paints tiles with WebGL2: grey textures, mapped and coloured in the shader. */

const VERTEX = `#version 300 es
uniform vec4 place; // left and right in clip space, left and right in the tile
out vec2 at;
void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  at = vec2(mix(place.z, place.w, corner.x), corner.y);
  gl_Position = vec4(mix(place.x, place.y, corner.x), corner.y * 2.0 - 1.0, 0.0, 1.0);
}`;
// Four places within a pixel's height are averaged: near the top of a logarithmic scale it covers several rows.
const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D tile;
uniform sampler2D table;
uniform vec4 band; // lowest and highest Hz that are shown, top of the tile in Hz, octaves where logarithmic, else 0
uniform vec4 look; // dB of the tile, brightest dB below its top, dB that are shown, height of a pixel
out vec4 colour;
void main() {
  float grey = 0.0, most = 0.0;
  float middle = band.w > 0.0 ? band.x * exp2(band.w * at.y) : mix(band.x, band.y, at.y);
  float step = band.w > 0.0 ? exp2(band.w * look.w / 4.0) : (band.y - band.x) * look.w / 4.0;
  float hz = band.w > 0.0 ? middle / (step * sqrt(step)) : middle - 1.5 * step;
  for (int k = 0; k < 4; k++) {
    float row = hz / band.z + 0.5 / 512.0;
    grey += 0.25 * texture(tile, vec2(at.x, 1.0 - row)).r;
    most = hz;
    hz = band.w > 0.0 ? hz * step : hz + step;
  }
  float level = most > band.z ? 0.0 : ((grey - 1.0) * look.x + look.y + look.z) / look.z;
  colour = vec4(texture(table, vec2(clamp(level, 0.0, 1.0) * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb, 1.0);
}`;

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/**
 * A painter on a canvas, or null where WebGL2 cannot be had.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{lost: () => void, fast: boolean}} options `lost`: the context is gone, and with it every tile;
 *   `fast`: null also where there is no graphics card, since drawing pictures is faster then
 */
export function glPainter(canvas, { lost, fast }) {
  const gl = canvas.getContext("webgl2", {
    alpha: false, antialias: false, depth: false,
    preserveDrawingBuffer: true, // else a printed page would have an empty picture
  });
  const program = gl && !(fast && SOFTWARE.test(gl.getParameter(gl.RENDERER))) ? linked(gl) : null;
  if (!program) {
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
    return null;
  }
  const vertices = gl.createVertexArray();
  const table = gl.createTexture();
  const uniform = Object.fromEntries(["place", "band", "look", "tile", "table"].map((n) => [n, gl.getUniformLocation(program, n)]));
  const textures = new Set();
  let background = [0, 0, 0];
  const onLost = (event) => {
    event.preventDefault();
    lost();
  };
  canvas.addEventListener("webglcontextlost", onLost);

  return {
    kind: "webgl2",
    get textures() {
      return textures.size;
    },
    accept(image) {
      const texture = gl.createTexture();
      bind(gl, 0, texture, gl.LINEAR);
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, gl.RED, gl.UNSIGNED_BYTE, image);
      image.close?.(); // four times the texture's size
      textures.add(texture);
      return texture;
    },
    release(texture) {
      if (textures.delete(texture)) gl.deleteTexture(texture);
    },
    setTable(colours) {
      bind(gl, 1, table, gl.LINEAR);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colours));
      background = [...colours.slice(0, 3)].map((c) => c / 255);
    },
    /** Begin a picture; `look`: {low_hz, high_hz, top_hz, log, range_db, brightness_db, shown_db}. */
    begin(look) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(...background, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.useProgram(program);
      gl.bindVertexArray(vertices);
      gl.uniform1i(uniform.tile, 0);
      gl.uniform1i(uniform.table, 1);
      gl.uniform4f(uniform.band, look.low_hz, look.high_hz, look.top_hz, look.log ? Math.log2(look.high_hz / look.low_hz) : 0);
      gl.uniform4f(uniform.look, look.range_db, look.brightness_db, look.shown_db, 1 / canvas.height);
      bind(gl, 1, table, gl.LINEAR);
      gl.activeTexture(gl.TEXTURE0);
    },
    /** Paint a part, from u0 to u1 of a tile, from x0 to x1 in pixels. */
    paint(texture, x0, x1, u0, u1) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform4f(uniform.place, (2 * x0) / canvas.width - 1, (2 * x1) / canvas.width - 1, u0, u1);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    },
    dispose() {
      canvas.removeEventListener("webglcontextlost", onLost);
      for (const texture of [...textures, table]) gl.deleteTexture(texture);
      textures.clear();
      gl.deleteVertexArray(vertices);
      gl.deleteProgram(program);
      gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers allow some sixteen contexts
    },
  };
}

function bind(gl, unit, texture, filter) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, filter);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader); // when the program goes
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
