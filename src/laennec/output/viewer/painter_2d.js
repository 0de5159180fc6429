/** Paints tiles where there is no WebGL2: each is mapped and coloured once for a look, then drawn as a picture. */

const WIDTH = 256, ROWS = 512;
const TAPS = [-1.5, -0.5, 0.5, 1.5].map((k) => k / 4);

/** A painter on a canvas; like `glPainter`. */
export function flatPainter(canvas) {
  const context = canvas.getContext("2d", { alpha: false });
  const reader = Object.assign(document.createElement("canvas"), { width: WIDTH, height: ROWS });
  const reading = reader.getContext("2d", { willReadFrequently: true });
  const tiles = new Set();
  let colours = new Uint8ClampedArray(1024);
  let tables = 0;
  let look = null;
  let key = "";

  return {
    kind: "2d",
    get textures() {
      return tiles.size;
    },
    accept(image) {
      reading.drawImage(image, 0, 0);
      image.close?.();
      const { data } = reading.getImageData(0, 0, WIDTH, ROWS);
      const grey = new Uint8Array(WIDTH * ROWS);
      for (let k = 0; k < grey.length; k += 1) grey[k] = data[4 * k];
      const tile = { grey, picture: null, key: "" };
      tiles.add(tile);
      return tile;
    },
    release(tile) {
      tiles.delete(tile);
      if (tile.picture) tile.picture.width = tile.picture.height = 0; // lets the memory go at once
    },
    setTable(table) {
      colours = table;
      tables += 1;
    },
    begin(wanted) {
      look = wanted;
      key = [...Object.values(look), canvas.height, tables].join();
      context.fillStyle = `rgb(${colours[0]} ${colours[1]} ${colours[2]})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingEnabled = true;
    },
    paint(tile, x0, x1, u0, u1) {
      if (tile.key !== key) {
        tile.picture = coloured(tile, look, colours, canvas.height);
        tile.key = key;
      }
      context.drawImage(tile.picture, u0 * WIDTH, 0, (u1 - u0) * WIDTH, canvas.height, x0, 0, x1 - x0, canvas.height);
    },
    dispose() {
      for (const tile of tiles) this.release(tile);
      reader.width = reader.height = 0;
    },
  };
}

function coloured({ grey, picture }, look, colours, height) {
  const target = picture ?? document.createElement("canvas");
  if (target.width !== WIDTH || target.height !== height) Object.assign(target, { width: WIDTH, height });
  const context = target.getContext("2d");
  const image = context.createImageData(WIDTH, height);
  const pixels = new Uint32Array(image.data.buffer);
  const table = new Uint32Array(new Uint8Array(colours).buffer);
  const scale = look.range_db / 255 / look.shown_db;
  const offset = (look.brightness_db + look.shown_db - look.range_db) / look.shown_db;
  const sums = new Float32Array(WIDTH);
  for (let y = 0; y < height; y += 1) {
    const inside = rowSums(sums, grey, look, 1 - (y + 0.5) / height, 1 / height);
    for (let x = 0; x < WIDTH; x += 1) {
      const level = inside ? sums[x] * scale + offset : 0;
      pixels[y * WIDTH + x] = table[Math.round(255 * Math.max(0, Math.min(1, level)))];
    }
  }
  context.putImageData(image, 0, 0);
  return target;
}

/** The mean grey of a pixel's height, column by column; false above the tile's top. */
function rowSums(sums, grey, look, at, pixel) {
  sums.fill(0);
  let most = 0;
  for (const tap of TAPS) {
    const y = at + tap * pixel;
    const hz = look.log ? look.low_hz * (look.high_hz / look.low_hz) ** y : look.low_hz + y * (look.high_hz - look.low_hz);
    most = Math.max(most, hz);
    const place = Math.max(0, Math.min(ROWS - 1, ROWS - 1 - (hz / look.top_hz) * ROWS));
    const above = Math.min(ROWS - 2, Math.floor(place)), share = place - above;
    for (let x = 0; x < WIDTH; x += 1) {
      sums[x] += 0.25 * (grey[above * WIDTH + x] * (1 - share) + grey[(above + 1) * WIDTH + x] * share);
    }
  }
  return most <= look.top_hz;
}
