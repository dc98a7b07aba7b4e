// From pixels to attention, salient regions and boxes: what heatmaps.py does, step by step, so that
// the sliders show the library's own numbers.

const SMALLEST_BOX = 0.05; // of the mass in pixels

/** Half of a Gaussian's weights, the middle first; cut at four deviations as SciPy does. */
function gaussianWeights(sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  const weights = Array.from({ length: radius + 1 }, (_, x) => Math.exp((-0.5 * x * x) / sigma ** 2));
  const total = weights.reduce((sum, weight, x) => sum + (x ? 2 * weight : weight), 0);
  return Float64Array.from(weights, (weight) => weight / total);
}

/** Blurs `count` lines of `length` numbers; SciPy's order of adding, rounded to float32 as there. */
function blurLines(values, weights, count, length, lineStep, step) {
  const radius = weights.length - 1;
  const line = new Float64Array(length + 2 * radius + 3); // and room for four at once
  const result = new Float32Array(values.length);
  for (let l = 0; l < count; l++) {
    let first = length;
    let last = -1;
    for (let i = 0; i < length; i++) {
      const value = values[l * lineStep + i * step];
      line[radius + i] = value;
      if (value !== 0) {
        first = Math.min(first, i);
        last = i;
      }
    }
    const stop = Math.min(length, last + radius + 1);
    for (let i = Math.max(0, first - radius); i < stop; i += 4) {
      // Four neighbours at once, so that each number is read once for all of them: it is this
      // loop that a slider waits for, and arrays in it would make it slower again.
      const middle = radius + i;
      const end = middle + radius;
      let sum0 = line[middle] * weights[0];
      let sum1 = line[middle + 1] * weights[0];
      let sum2 = line[middle + 2] * weights[0];
      let sum3 = line[middle + 3] * weights[0];
      let left0 = line[i], left1 = line[i + 1], left2 = line[i + 2], left3 = line[i + 3];
      let right0 = line[end], right1 = line[end + 1], right2 = line[end + 2], right3 = line[end + 3];
      for (let j = radius; j > 0; j--) {
        const weight = weights[j];
        sum0 += (left0 + right0) * weight;
        sum1 += (left1 + right1) * weight;
        sum2 += (left2 + right2) * weight;
        sum3 += (left3 + right3) * weight;
        left0 = left1; left1 = left2; left2 = left3; left3 = line[middle - j + 4];
        right3 = right2; right2 = right1; right1 = right0; right0 = line[middle + j - 1];
      }
      const place = l * lineStep + i * step;
      result[place] = sum0;
      if (i + 1 < stop) result[place + step] = sum1;
      if (i + 2 < stop) result[place + 2 * step] = sum2;
      if (i + 3 < stop) result[place + 3 * step] = sum3;
    }
  }
  return result;
}

/** Where the `i`-th of `length` pixels is among `count` cells: the two next to it, and how far. */
function between(i, length, count) {
  const at = Math.min(Math.max(((i + 0.5) * count) / length - 0.5, 0), count - 1);
  const low = Math.min(Math.floor(at), Math.max(count - 2, 0));
  return [low, Math.min(low + 1, count - 1), at - low];
}

/** Cells of a layer in every pixel, interpolated between their centres, as SciPy's `zoom` does. */
function zoomed({ size: [rows, columns], mass }, [height, width]) {
  const across = Array.from({ length: width }, (_, x) => between(x, width, columns));
  const map = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, over] = across[x];
      const upper = (1 - over) * mass[top * columns + left] + over * mass[top * columns + right];
      const lower = (1 - over) * mass[bottom * columns + left] + over * mass[bottom * columns + right];
      map[y * width + x] = (1 - down) * upper + down * lower;
    }
  }
  return map;
}

/** Cells of a layer in the pixels in their middle. */
function inCentres({ size: [rows, columns], mass }, [height, width]) {
  const map = new Float32Array(height * width);
  mass.forEach((value, cell) => {
    if (!(value > 0)) return;
    const row = Math.trunc(((Math.floor(cell / columns) + 0.5) * height) / rows);
    const column = Math.trunc((((cell % columns) + 0.5) * width) / columns);
    map[row * width + column] += value;
  });
  return map;
}

/** `Explanation.attention`: a Gaussian around each pixel, the maximum scaled to 1. */
function attentionOf(density, [height, width], sigma) {
  const weights = gaussianWeights(sigma);
  const down = blurLines(density, weights, width, height, 1, width);
  const map = blurLines(down, weights, height, width, width, 1);
  let largest = 0;
  for (const value of map) if (value > largest) largest = value;
  return largest > 0 ? map.map((value) => value / largest) : map;
}

/** `Explanation.saliency`: where the attention reaches the threshold, 0 or 1. */
function regionOf(attention, threshold) {
  const least = Math.fround(threshold);
  const region = new Uint8Array(attention.length);
  for (let i = 0; i < region.length; i++) region[i] = attention[i] >= least && attention[i] > 0;
  return region;
}

/** `Explanation.boxes`: [top, left, bottom, right] around connected regions, the heaviest first. */
function boxesOf(region, density, [height, width]) {
  const seen = new Uint8Array(region.length);
  const found = [];
  let total = 0;
  for (const mass of density) total += mass;
  for (let start = 0; start < region.length; start++) {
    if (!region[start] || seen[start]) continue;
    const box = { top: height, left: width, bottom: 0, right: 0, mass: 0 };
    const waiting = [start];
    seen[start] = 1;
    while (waiting.length) {
      const place = waiting.pop();
      const row = Math.floor(place / width);
      const column = place % width;
      box.top = Math.min(box.top, row);
      box.left = Math.min(box.left, column);
      box.bottom = Math.max(box.bottom, row + 1);
      box.right = Math.max(box.right, column + 1);
      box.mass += density[place];
      for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, height - 1); r++) {
        for (let c = Math.max(column - 1, 0); c <= Math.min(column + 1, width - 1); c++) {
          const next = r * width + c;
          if (region[next] && !seen[next]) {
            seen[next] = 1;
            waiting.push(next);
          }
        }
      }
    }
    if (box.mass > SMALLEST_BOX * total) found.push(box);
  }
  found.sort((a, b) => b.mass - a.mass);
  return found.map(({ top, left, bottom, right }) => [top, left, bottom, right]);
}
