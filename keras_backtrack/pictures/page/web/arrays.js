// Arrays as `pack` in encoding.py writes them: "f4:", "i4:" or "i1:" and little-endian base64.

const KINDS = { f4: Float32Array, i4: Int32Array, i1: Int8Array };

function unpack(text) {
  const binary = atob(text.slice(3));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return new KINDS[text.slice(0, 2)](bytes.buffer);
}

/** Mass in every pixel of the network's input, from places and masses or from a whole map. */
function densityOf(pixels, [height, width]) {
  if (pixels.map) return unpack(pixels.map);
  const density = new Float32Array(height * width);
  const mass = unpack(pixels.mass);
  unpack(pixels.place).forEach((place, i) => (density[place] = mass[i]));
  return density;
}

/** What attention is made of (`spread`), and where its mass is held when it comes to boxes. */
function mapsOf(details, density, size) {
  if (!details.cells) return { spread: density, held: density };
  const cells = { size: details.cells.size, mass: unpack(details.cells.mass) };
  return { cells, spread: zoomed(cells, size), held: inCentres(cells, size) };
}

/** One decision with its arrays read. */
function readDecision(listed, details, size) {
  const density = densityOf(details.pixels, size);
  const places = [];
  density.forEach((mass, place) => mass > 0 && places.push(place));
  const decision = { ...listed, density, places, ...mapsOf(details, density, size) };
  if (details.grid) {
    decision.grid = { size: details.grid.size, mass: unpack(details.grid.mass) };
  }
  if (details.nodes) {
    decision.layers = details.layers;
    decision.nodes = Object.fromEntries(
      Object.entries(details.nodes).map(([name, text]) => [name, unpack(text)]),
    );
  }
  return decision;
}

/** The layers with their receptive fields read. */
function readLayers(layers) {
  return layers.map((layer) => ({ ...layer, field: layer.field && layer.field.map(unpack) }));
}
