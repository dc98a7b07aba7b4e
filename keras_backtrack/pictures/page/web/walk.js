// The way down through the network: its layers, their nodes, and how nodes hang together.

const LISTED = 40; // nodes in the list; all that came along are on the photo

// Of layers without nodes, by how decisions came to them.
const NOTHING = {
  best: "The walk did not come through here.",
  all: "The nodes of this layer were not kept: the explainer keeps those of layers=[…], where all paths are followed.",
  weighed: "No nodes are held here: what speaks for and what speaks against the class was only weighed.",
};

class Walk {
  constructor(view) {
    this.view = view;
    this.layers = view.layers;
    this.count = this.layers.length;
    this.place = 0; // of the layer, from the input up
    this.row = -1; // of the node looked at, in the decision's table
    this.kept = -1; // of the one to come back to after hovering over others
    this.channel = null;
    this.element = this.build();
  }

  get decision() {
    return this.view.decision;
  }

  get nodes() {
    return this.decision.nodes;
  }

  get layer() {
    return this.layers[this.place];
  }

  build() {
    // Downwards is to the right, as one reads.
    this.slider = make("input", { type: "range", min: 0, max: this.count - 1, step: 1, value: 0, "aria-label": "Layer, from the class down to the picture", oninput: () => this.go(this.count - 1 - Number(this.slider.value)) });
    this.bars = this.layers.map((_, i) => make("span", { onclick: () => this.go(this.count - 1 - i) }));
    this.title = make("h2");
    this.facts = make("p", { class: "facts" });
    this.channels = make("div", { class: "channels" });
    this.list = make("ol", { class: "nodes" });
    this.card = make("div", { class: "card", "aria-live": "polite" });
    const { canvas } = this.view.stage;
    canvas.addEventListener("pointermove", (event) => {
      const row = event.pointerType === "mouse" ? this.rowUnder(event) : -1;
      if (row >= 0 && row !== this.row) this.look(row);
    });
    canvas.addEventListener("pointerdown", (event) => {
      const row = this.rowUnder(event);
      if (row >= 0) this.keep(row);
    });
    for (const place of [canvas, this.list]) place.addEventListener("pointerleave", () => this.look(this.kept));
    const { details } = this.view;
    const note = details.is_current
      ? details.note
      : "The network has changed since: activations and paths are not known any more.";
    return make(
      "aside", { class: "walk", "aria-label": "Down through the network" },
      make("h2", {}, "Down through the network"),
      make("div", { class: "depth" }, make("div", { class: "bars", "aria-hidden": "true" }, ...this.bars), this.slider,
        make("div", { class: "ends", "aria-hidden": "true" }, make("span", {}, "class"), make("span", {}, "picture"))),
      note && make("p", { class: "note" }, note),
      this.title, this.facts, this.channels, this.list, this.card,
      make("p", { class: "help" }, "Keys: 1–6 switch what is shown; on the photo ↑ ↓ go through the layers, ← → through the nodes."),
    );
  }

  /** After another class was chosen. */
  refresh() {
    const most = Math.max(...this.decision.layers.map((layer) => layer.nodes), 1);
    this.bars.forEach((bar, i) => {
      const { nodes } = this.decision.layers[this.count - 1 - i];
      const layer = this.layers[this.count - 1 - i];
      bar.style.setProperty("--share", nodes ? 0.08 + (0.92 * Math.log1p(nodes)) / Math.log1p(most) : 0);
      bar.title = `${layer.name}: ${many(nodes, "node")}`;
    });
    if (!this.started) {
      // The last layers that look at places tell the most at first sight.
      const last = this.layers.findLastIndex((layer, i) => layer.field && this.decision.layers[i].nodes > 1 && layer.shape[0] * layer.shape[1] > 1);
      this.place = Math.max(last, 0);
      this.started = true;
    }
    delete this.card.dataset.row;
    this.show(this.place);
  }

  /** Chooses a layer, and sees that its nodes are on the photo. */
  go(place, row = -1) {
    this.show(place, row);
    this.showNodes();
  }

  showNodes() {
    if (this.rows().length && !this.view.state.on.has("nodes")) this.view.toggle("nodes", true);
  }

  show(place, row = -1) {
    this.place = Math.min(Math.max(place, 0), this.count - 1);
    this.channel = null;
    const { layer } = this;
    const held = this.decision.layers[this.place];
    this.slider.value = this.count - 1 - this.place;
    this.slider.setAttribute("aria-valuetext", `${layer.name}, ${many(held.nodes, "node")}`);
    this.bars.forEach((bar, i) => bar.classList.toggle("now", i === this.count - 1 - this.place));
    this.title.replaceChildren(layer.name, make("small", {}, ` ${[layer.kind, ...layer.then].join(" · ")}`));
    const shown = this.rows().length;
    this.facts.textContent = held.nodes
      ? `${many(held.nodes, "node")} hold ${percent(held.mass)} of the decision${shown < held.nodes ? `; the ${many(shown, "heaviest", "heaviest")} are here` : ""}. Output ${layer.shape.join(" × ") || "1"}.`
      : NOTHING[layer.way];
    this.showChannels(held);
    this.showList();
    this.keep(row >= 0 ? row : (this.rows()[0] ?? -1));
  }

  /** Rows of the table that are at this layer, and in the chosen channel if one is; heaviest first. */
  rows() {
    const { start, unit } = this.nodes;
    const rows = [];
    for (let row = start[this.place]; row < start[this.place + 1]; row++) {
      if (this.channel === null || this.channelOf(unit[row]) === this.channel) rows.push(row);
    }
    return rows;
  }

  channelOf(unit) {
    return unit % this.layer.shape[this.layer.shape.length - 1];
  }

  showChannels(held) {
    const isMap = this.layer.shape.length > 1;
    this.channels.replaceChildren(...(isMap ? held.channels : []).map(([channel, mass, count]) => {
      const button = make("button", { type: "button", "aria-pressed": "false", title: `Channel ${channel}: ${many(count, "node")}, ${percent(mass)} of the decision` },
        make("span", {}, `channel ${channel}`), make("span", { class: "score" }, percent(mass)));
      button.style.setProperty("--share", held.mass ? mass / held.mass : 0);
      button.addEventListener("click", () => this.choose(this.channel === channel ? null : channel, button));
      return button;
    }));
  }

  choose(channel, button) {
    this.channel = channel;
    for (const other of this.channels.children) other.setAttribute("aria-pressed", String(other === button && channel !== null));
    this.showNodes();
    this.showList();
    this.keep(this.rows()[0] ?? -1);
  }

  showList() {
    const rows = this.rows().slice(0, LISTED);
    this.items = new Map();
    this.list.replaceChildren(...rows.map((row) => {
      const button = make("button", { type: "button", onmouseenter: () => this.look(row), onfocus: () => this.keep(row), onclick: () => this.keep(row) },
        make("span", {}, this.nameOf(row, false)), make("span", { class: "score" }, percent(this.nodes.mass[row])));
      button.style.setProperty("--share", this.nodes.mass[row] / this.nodes.mass[rows[0]]);
      this.items.set(row, button);
      return make("li", {}, button);
    }));
  }

  layerOf(row) {
    return this.nodes.start.findLastIndex((start) => start <= row);
  }

  /** What a unit of a layer is called. */
  unitName(place, unit) {
    const { shape } = this.layers[place];
    if (place === this.count - 1) {
      const { target, target_name: name, versus, versus_name: foil } = this.decision;
      // Of a single unit that says no or yes, these are the targets.
      if (unit === target || shape.every((size) => size === 1)) return `“${name}”`;
      if (unit === versus) return `“${foil}”`;
    }
    if (shape.length < 2) return `unit ${unit}`;
    const coordinates = [];
    for (let axis = shape.length - 1, rest = unit; axis >= 0; axis--) {
      coordinates.unshift(rest % shape[axis]);
      rest = Math.floor(rest / shape[axis]);
    }
    const channel = coordinates.pop();
    return `(${coordinates.join(", ")}) channel ${channel}`;
  }

  nameOf(row, withLayer = true) {
    const place = this.layerOf(row);
    const unit = this.unitName(place, this.nodes.unit[row]);
    return withLayer ? `${this.layers[place].name} ${unit}` : unit;
  }

  /** Which part of the network's input a unit sees: [top, left, bottom, right], or null for all. */
  fieldOf(place, unit) {
    const { field, shape } = this.layers[place];
    if (!field) return null;
    const position = Math.floor(unit / shape[2]);
    const [row, column] = [Math.floor(position / shape[1]), position % shape[1]];
    return [field[0][2 * row], field[1][2 * column], field[0][2 * row + 1], field[1][2 * column + 1]];
  }

  fieldOfRow(row) {
    return this.fieldOf(this.layerOf(row), this.nodes.unit[row]);
  }

  /** The largest contributions of a node. */
  contributions(row) {
    const { first, child_layer, child_unit, child_mass, mass, start, unit } = this.nodes;
    const found = [];
    for (let c = first[row]; c < first[row + 1]; c++) {
      const [place, child] = [child_layer[c], child_unit[c]];
      let known = -1;
      for (let r = start[place]; r < start[place + 1] && known < 0; r++) if (unit[r] === child) known = r;
      found.push({ place, unit: child, mass: child_mass[c], share: child_mass[c] / mass[row], row: known });
    }
    return found;
  }

  /** Rows from a node's parent up to the class. */
  path(row) {
    const rows = [];
    for (let up = this.nodes.parent[row]; up >= 0; up = this.nodes.parent[up]) rows.push(up);
    return rows;
  }

  /** What a path of rows leads up to. */
  topOf(rows) {
    const place = this.layerOf(rows.at(-1));
    return place === this.count - 1 ? "the class" : this.layers[place].name;
  }

  /** Why a node that was walked to, or from, has no parent. */
  orphan() {
    if (this.layer.begun) return "no single one: here the walk begins";
    return this.place === this.count - 1 ? "none: here the walk starts" : "not known: the walk starts with a difference";
  }

  /** Looks at a node for good, until another is chosen. */
  keep(row) {
    this.kept = row;
    this.look(row);
  }

  /** Looks at a node: its numbers beside the photo, its field of view on it. */
  look(row) {
    if (row === this.row && this.card.dataset.row === String(row)) return;
    this.card.dataset.row = row;
    this.row = row;
    for (const [own, button] of this.items) button.classList.toggle("now", own === row);
    this.card.replaceChildren(...(row < 0 ? [] : this.describe(row)));
    this.view.draw();
  }

  visit(row) {
    this.go(this.layerOf(row), row);
  }

  describe(row) {
    const { activation, mass, sign, passed, parent } = this.nodes;
    const { is_current: isCurrent } = this.view.details;
    const { way, begun } = this.layer;
    const field = this.fieldOfRow(row);
    const term = (name, ...values) => [make("dt", {}, name), make("dd", {}, ...values)];
    const link = (text, to) => to >= 0 ? make("button", { type: "button", class: "link", onclick: () => this.visit(to) }, text) : text;
    const facts = [
      ...(isCurrent ? term("Activation", make("data", { class: "activation", value: activation[row] }, number(activation[row]))) : []),
      ...term("Mass", make("data", { class: "mass", value: mass[row] }, percent(mass[row])), " of the decision"),
      ...term("Question", sign[row] > 0 ? "why it is high" : "why it is low"),
      ...term("Sees", field ? `rows ${field[0]}–${field[2] - 1}, columns ${field[1]}–${field[3] - 1} (${field[2] - field[0]} × ${field[3] - field[1]} pixels)` : "the whole picture"),
    ];
    const name = make("h3", {}, this.nameOf(row));
    if (!isCurrent || !(way === "best" || begun)) return [name, make("dl", {}, ...facts)];
    const up = parent[row];
    facts.push(...term("Parent", up >= 0 ? link(this.nameOf(up), up) : this.orphan(), up >= 0 ? ` passed it ${percent(passed[row])}${passed[row] < 0.999 * mass[row] ? ", the most of all" : ""}` : ""));
    const children = this.contributions(row);
    const below = children.map((child) =>
      make("li", {}, link(`${this.layers[child.place].name} ${this.unitName(child.place, child.unit)}`, child.row),
        make("data", { class: "score", value: child.mass }, percent(child.share))));
    const ended = begun ? "none: only the heaviest are walked on" : "none: its path ended here";
    const nothing = this.place === 0 ? "none: this is the picture" : ended;
    facts.push(...(children.length
      ? [make("dt", { class: "wide" }, "Largest contributions, as shares of this node’s mass"), make("dd", { class: "wide" }, make("ol", { class: "below" }, ...below))]
      : term("Contributions", nothing)));
    const above = this.path(row);
    const steps = above.map((r) => make("li", {}, link(this.nameOf(r), r), make("span", { class: "score" }, percent(mass[r]))));
    const path = above.length ? make("details", {}, make("summary", {}, `Path up to ${this.topOf(above)}, ${many(above.length, "step")}`), make("ol", { class: "up" }, ...steps)) : null;
    if (path) {
      path.open = this.isPathOpen;
      path.addEventListener("toggle", () => (this.isPathOpen = path.open));
    }
    return [name, make("dl", {}, ...facts), path].filter(Boolean);
  }

  /** Where on the canvas a node is shown: in the middle of its cell, the picture split evenly. */
  centre(stage, row) {
    const [height, width] = this.view.picture.size;
    const [rows, columns, channels] = this.layer.shape;
    const position = Math.floor(this.nodes.unit[row] / channels);
    const [cellRow, cellColumn] = [Math.floor(position / columns), position % columns];
    return stage.at(((cellRow + 0.5) * height) / rows, ((cellColumn + 0.5) * width) / columns);
  }

  /** The node under the pointer, the heaviest where there are several; -1 for none. */
  rowUnder(event) {
    if (!this.view.state.on.has("nodes") || !this.layer.field) return -1;
    const { stage } = this.view;
    const box = stage.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) * stage.unit, (event.clientY - box.top) * stage.unit];
    let [best, nearest] = [-1, (18 * stage.unit) ** 2];
    for (const row of this.rows()) {
      const [nodeX, nodeY] = this.centre(stage, row);
      const distance = (x - nodeX) ** 2 + (y - nodeY) ** 2;
      // The heaviest comes first.
      if (distance < nearest) [best, nearest] = [row, distance];
    }
    return best;
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 1, ArrowDown: -1 }[event.key];
    const inList = event.target.closest?.(".nodes");
    if (!step || !(inList || event.target === this.view.stage.canvas)) return;
    event.preventDefault();
    if (!inList && event.key !== "ArrowLeft" && event.key !== "ArrowRight") {
      this.go(this.place + step);
      return;
    }
    const rows = inList ? [...this.items.keys()] : this.rows();
    // In the list down is on.
    const place = rows.indexOf(this.row) + (inList && (event.key === "ArrowUp" || event.key === "ArrowDown") ? -step : step);
    const row = rows[Math.min(Math.max(place, 0), rows.length - 1)];
    this.keep(row);
    if (inList) this.items.get(row).focus();
  }

  draw(stage, opacity) {
    if (!this.decision.layers[this.place].nodes) return;
    const { mass, sign } = this.nodes;
    const rows = this.rows();
    const [height, width] = this.view.picture.size;
    const whole = [0, 0, height, width];
    if (this.row >= 0) {
      for (const up of this.path(this.row).slice(0, 12).reverse()) {
        const field = this.fieldOfRow(up);
        if (field) stage.rectangle(field, NODE, { opacity: 0.35 * opacity, thickness: 1, dash: [4, 4] });
      }
    }
    if (this.layer.field) {
      const largest = rows.length ? mass[rows[0]] : 1;
      for (const row of [...rows].reverse()) {
        const share = mass[row] / largest;
        if (!(share > 0)) continue; // with contrast, what is behind
        const [x, y] = this.centre(stage, row);
        stage.dot(x, y, 2.5 + 6 * Math.sqrt(share), NODE, opacity * (0.45 + 0.55 * share), sign[row] < 0);
      }
    }
    if (this.row < 0) return;
    stage.rectangle(this.fieldOfRow(this.row) ?? whole, NODE, { opacity: Math.max(opacity, 0.4), thickness: 2.5, fill: 0.16 });
    if (this.layer.field) stage.dot(...this.centre(stage, this.row), 7, "#fff", 1, sign[this.row] < 0);
  }
}
