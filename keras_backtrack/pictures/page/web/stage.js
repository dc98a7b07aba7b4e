// The photo and what is drawn on it.

const ACCENT = "#ff2d55";
const LABEL = "#d3124a"; // darker, as white letters on it have to be read
const NODE = "#12c8c8";
// From little to much attention: stops of the "inferno" colours.
const STOPS = [[40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

/** A colour as image data holds it: red in the lowest byte. */
const rgba = (red, green, blue, alpha) => (Math.round(alpha) << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red);

/** Colours of 256 steps from 0 to 1, each made by `colour(share)`. */
const ramp = (colour) => Int32Array.from({ length: 256 }, (_, i) => rgba(...colour(i / 255)));

// Little attention lets the photo through.
const ATTENTION = ramp((share) => {
  const at = share * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  const mixed = STOPS[low].map((value, c) => value + (at - low) * (STOPS[low + 1][c] - value));
  return [...mixed, share > 0.02 ? 255 * Math.min(1, 1.15 * share ** 0.85) : 0];
});
const MASS = ramp((share) => [255, 45, 85, 255 * Math.sqrt(share)]);
const SHADOW = Int32Array.of(rgba(0, 0, 0, 225), 0);

/** A picture of the network's input size: each value, times `scale`, is a place in `colours`. */
function painted([height, width], values, scale, colours) {
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = [height, width];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Int32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colours[Math.round(values[i] * scale)];
  context.putImageData(image, 0, 0);
  return canvas;
}

const attentionPicture = (attention, size) => painted(size, attention, 255, ATTENTION);

const shadowPicture = (region, size) => painted(size, region, 1, SHADOW);

function pixelPicture({ density }, size) {
  const largest = density.reduce((most, mass) => Math.max(most, mass), 0);
  return painted(size, density, largest ? 255 / largest : 0, MASS);
}

/** Draws on a canvas over the photo; places in the network's input are (row, column). */
class Stage {
  constructor(photo, picture) {
    this.photo = photo;
    this.picture = picture;
    this.canvas = make("canvas", { role: "img", tabindex: "0", class: "photo" });
    const [height, width] = picture.photo_size;
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.canvas.style.setProperty("--shape", width / height);
  }

  /** Starts anew: the photo, darker where the network did not look. */
  clear(isFaded) {
    const scale = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const [height, width] = this.picture.photo_size;
    this.width = Math.max(Math.round(box.width * scale), 1) || 640;
    this.height = Math.round((this.width * height) / width);
    if (this.canvas.width !== this.width || this.canvas.height !== this.height) {
      [this.canvas.width, this.canvas.height] = [this.width, this.height];
    }
    this.unit = this.width / Math.max(box.width, 1);
    const g = (this.context = this.canvas.getContext("2d"));
    g.globalAlpha = 1;
    g.filter = isFaded ? "grayscale(1) brightness(0.6)" : "none";
    g.drawImage(this.photo, 0, 0, this.width, this.height);
    g.filter = "none";
    const [top, left, bottom, right] = this.part();
    g.fillStyle = "rgb(20 20 24 / 0.62)";
    g.beginPath();
    g.rect(0, 0, this.width, this.height);
    g.rect(left, top, right - left, bottom - top);
    g.fill("evenodd");
  }

  /** Whether the network saw a part of the photo only. */
  get isPartly() {
    const [top, left, bottom, right] = this.picture.part;
    return Math.max(top, left, 1 - bottom, 1 - right) > 0.005;
  }

  /** Edges of what the network saw, on the canvas. */
  part() {
    const [top, left, bottom, right] = this.picture.part;
    return [top * this.height, left * this.width, bottom * this.height, right * this.width];
  }

  /** From rows and columns of the network's input to the canvas. */
  at(row, column) {
    const [top, left, bottom, right] = this.part();
    const [height, width] = this.picture.size;
    return [left + (column / width) * (right - left), top + (row / height) * (bottom - top)];
  }

  /** Lays a picture of the network's input over the photo. */
  lay(picture, opacity, isSmooth) {
    const [top, left, bottom, right] = this.part();
    const g = this.context;
    g.globalAlpha = opacity;
    g.imageSmoothingEnabled = isSmooth;
    g.drawImage(picture, left, top, right - left, bottom - top);
    g.imageSmoothingEnabled = true;
    g.globalAlpha = 1;
  }

  /** A few pixels as points that one can see; the more mass, the larger. */
  points(decision, opacity) {
    const [, width] = this.picture.size;
    const largest = Math.max(...decision.places.map((place) => decision.density[place]));
    const g = this.context;
    for (const place of decision.places) {
      const share = decision.density[place] / largest;
      const [x, y] = this.at(Math.floor(place / width) + 0.5, (place % width) + 0.5);
      this.dot(x, y, 2 + 5 * Math.sqrt(share), ACCENT, opacity * (0.35 + 0.65 * share));
    }
    g.globalAlpha = 1;
  }

  dot(x, y, radius, colour, opacity, isHollow = false) {
    const g = this.context;
    g.globalAlpha = opacity;
    g.beginPath();
    g.arc(x, y, radius * this.unit, 0, 7);
    g.fillStyle = g.strokeStyle = colour;
    g.lineWidth = 1.5 * this.unit;
    if (!isHollow) g.fill();
    g.strokeStyle = isHollow ? colour : "rgb(0 0 0 / 0.55)";
    g.stroke();
    g.globalAlpha = 1;
  }

  /** A rectangle of rows and columns, half open. */
  rectangle([top, left, bottom, right], colour, { opacity = 1, thickness = 2, dash = [], fill = 0 } = {}) {
    const g = this.context;
    const [x, y] = this.at(top, left);
    const [x1, y1] = this.at(bottom, right);
    g.globalAlpha = opacity * fill;
    g.fillStyle = colour;
    if (fill) g.fillRect(x, y, x1 - x, y1 - y);
    g.globalAlpha = opacity;
    for (const [style, extra] of [["rgb(0 0 0 / 0.6)", 2], [colour, 0]]) {
      g.setLineDash(dash.map((length) => length * this.unit));
      g.strokeStyle = style;
      g.lineWidth = (thickness + extra) * this.unit;
      g.strokeRect(x, y, x1 - x, y1 - y);
    }
    g.setLineDash([]);
    g.globalAlpha = 1;
  }

  /** The cells of a layer, filled by their mass, the heaviest framed (the paper's Fig. 2). */
  grid({ size: [rows, columns], mass }, opacity) {
    const [height, width] = this.picture.size;
    const cell = (row, column) => [
      (row * height) / rows, (column * width) / columns,
      ((row + 1) * height) / rows, ((column + 1) * width) / columns,
    ];
    const largest = Math.max(...mass);
    const g = this.context;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const [top, left, bottom, right] = cell(row, column);
        const [x, y] = this.at(top, left);
        const [x1, y1] = this.at(bottom, right);
        // With contrast there are cells with mass below 0.
        g.globalAlpha = opacity * 0.75 * (Math.max(mass[row * columns + column], 0) / (largest || 1));
        g.fillStyle = "#3d8bff";
        g.fillRect(x, y, x1 - x, y1 - y);
        g.globalAlpha = opacity * 0.5;
        g.strokeStyle = "#fff";
        g.lineWidth = this.unit;
        g.strokeRect(x, y, x1 - x, y1 - y);
      }
    }
    g.globalAlpha = 1;
    if (!(largest > 0)) return;
    const best = mass.indexOf(largest);
    const [row, column] = [Math.floor(best / columns), best % columns];
    this.rectangle(cell(row, column), "#3d8bff", { opacity });
  }

  /** A name at the upper left corner of a box. */
  label(text, [top, left]) {
    const g = this.context;
    const size = 13 * this.unit;
    g.font = `600 ${size}px system-ui, sans-serif`;
    const width = g.measureText(text).width + size;
    const [x, y] = this.at(top, left);
    const from = Math.min(Math.max(x, 0), this.width - width);
    const over = Math.max(y - 1.5 * size, 0);
    g.fillStyle = LABEL;
    g.fillRect(from, over, width, 1.5 * size);
    g.fillStyle = "#fff";
    g.textBaseline = "middle";
    g.fillText(text, from + size / 2, over + 0.78 * size);
  }
}
