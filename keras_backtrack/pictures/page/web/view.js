// One picture: the stage, its controls, and the walk through the network.

const LAYERS = [
  ["pixels", "Pixels", "The important pixels, larger or denser the more of the decision they hold"],
  ["attention", "Attention", "Density of the decision's mass: in the cells of the layer down to which all paths were followed, where there is one, else in the important pixels"],
  ["saliency", "Saliency", "Where the attention reaches the threshold"],
  ["boxes", "Boxes", "Around the salient regions"],
  ["grid", "Grid", "Mass in the cells of the last map of the network"],
  ["nodes", "Nodes", "What the walk held at the layer chosen below, where it looks at the photo"],
];

const FEW = 2000; // pixels that are drawn as points

class View {
  constructor(picture, details, options = {}) {
    this.picture = picture;
    this.details = details;
    this.decisions = picture.decisions.map((listed, i) => readDecision(listed, details.decisions[i], picture.size));
    this.layers = details.layers ? readLayers(details.layers) : [];
    this.state = { decision: 0, sigma: picture.sigma, threshold: picture.threshold, opacity: 0.8, on: new Set(["attention", "boxes"]) };
    this.pictures = {};
    this.photo = new Image();
    this.stage = new Stage(this.photo, picture);
    this.draw = once(() => this.drawNow());
    this.walk = this.layers.length ? new Walk(this) : null;
    this.element = this.build(options);
    this.element.view = this;
    this.photo.addEventListener("load", this.draw);
    this.photo.src = picture.photo;
    new ResizeObserver(this.draw).observe(this.stage.canvas);
    this.choose(0);
  }

  get decision() {
    return this.decisions[this.state.decision];
  }

  build(options) {
    const missing = { grid: !this.decisions.some((d) => d.grid), nodes: !this.walk };
    this.switches = new Map();
    const chips = LAYERS.filter(([key]) => !missing[key]).map(
      ([key, name, hint], i) => {
        const box = make("input", { type: "checkbox", onchange: () => this.toggle(key, box.checked) });
        box.checked = this.state.on.has(key);
        this.switches.set(key, box);
        return make("label", { class: "chip", title: `${hint} (key ${i + 1})` }, box, make("span", {}, name));
      },
    );
    const change = (key, redo) => (value) => {
      this.state[key] = value;
      for (const name of redo) delete this.pictures[name];
      this.draw();
    };
    const size = (value) => `${number(value)} px`;
    const longer = Math.max(...this.picture.size);
    const step = longer / 1000;
    this.sliders = {
      opacity: slider("Opacity", { min: 0, max: 1, step: 0.01, value: this.state.opacity, text: (v) => `${Math.round(100 * v)} %` }, change("opacity", [])),
      sigma: slider("Blur σ", { min: step, max: 0.15 * longer, step, value: this.state.sigma, text: size, hint: "Width of the Gaussian around each pixel or cell, in pixels of the network's input" }, change("sigma", ["attention", "saliency", "boxes"])),
      threshold: slider("Threshold", { min: 0, max: 1, step: 0.005, value: this.state.threshold, text: (v) => v.toFixed(3), hint: "Share of the largest attention that a salient region reaches" }, change("threshold", ["saliency", "boxes"])),
    };
    this.caption = make("figcaption", { "aria-live": "polite" });
    this.choices = this.buildChoices();
    const look = make(
      "div", { class: "look" },
      make("figure", {}, this.stage.canvas, this.caption),
      make("div", { class: "controls" },
        make("fieldset", { class: "chips" }, make("legend", {}, "Show"), ...chips),
        make("div", { class: "sliders" }, ...Object.values(this.sliders).map((s) => s.element)),
      ),
    );
    const section = make(
      "section", { class: "view", "aria-label": this.picture.name },
      options.links,
      make("header", {}, make("h1", {}, this.picture.name), this.choices),
      make("div", { class: this.walk ? "columns" : "" }, look, this.walk && this.walk.element),
    );
    section.addEventListener("keydown", (event) => this.key(event, chips.length));
    return section;
  }

  buildChoices() {
    this.radios = this.decisions.map((decision, i) => {
      const radio = make("input", { type: "radio", onchange: () => this.choose(i) });
      radio.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (i + step + this.radios.length) % this.radios.length;
        this.choose(next);
        this.radios[next].focus();
      });
      return radio;
    });
    return make(
      "fieldset", { class: "classes" },
      make("legend", {}, this.decisions.length > 1 ? "Explained" : "Explained class"),
      ...this.decisions.map((decision, i) =>
        make("label", { class: "class" }, this.radios[i], make("span", { class: "name" }, decision.label), make("span", { class: "score" }, scoreText(decision))),
      ),
    );
  }

  choose(i) {
    this.state.decision = i;
    this.radios.forEach((radio, place) => {
      // Without a shared name, of which a notebook may hold many, one has to do this by hand.
      radio.checked = place === i;
      radio.tabIndex = place === i ? 0 : -1;
    });
    this.pictures = {};
    if (this.walk) this.walk.refresh();
    this.draw();
  }

  toggle(key, isOn) {
    this.state.on[isOn ? "add" : "delete"](key);
    this.switches.get(key).checked = isOn;
    this.draw();
  }

  key(event, count) {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = Number(event.key) - 1;
    if (place >= 0 && place < count) {
      const [key, box] = [...this.switches][place];
      this.toggle(key, !box.checked);
    } else if (this.walk) this.walk.key(event);
  }

  /** Something drawn from the numbers, made anew when they have changed. */
  made(name, make) {
    return (this.pictures[name] ??= make());
  }

  get attention() {
    return this.made("attention", () => {
      const map = attentionOf(this.decision.spread, this.picture.size, this.state.sigma);
      return { map, picture: attentionPicture(map, this.picture.size) };
    });
  }

  get saliency() {
    return this.made("saliency", () => {
      const map = regionOf(this.attention.map, this.state.threshold);
      return { map, picture: shadowPicture(map, this.picture.size) };
    });
  }

  get boxes() {
    return this.made("boxes", () => boxesOf(this.saliency.map, this.decision.held, this.picture.size));
  }

  drawNow() {
    if (!this.photo.complete || !this.element.isConnected) return;
    const { on, opacity } = this.state;
    const { stage, decision, picture } = this;
    const isFew = decision.places.length <= FEW;
    stage.clear(on.has("pixels") && !on.has("attention"));
    if (on.has("attention")) stage.lay(this.attention.picture, opacity, true);
    if (on.has("saliency")) stage.lay(this.saliency.picture, opacity, true);
    if (on.has("grid") && decision.grid) stage.grid(decision.grid, opacity);
    if (on.has("pixels") && isFew) stage.points(decision, opacity);
    if (on.has("pixels") && !isFew) stage.lay(this.made("pixels", () => pixelPicture(decision, picture.size)), opacity, false);
    if (on.has("boxes")) {
      for (const box of this.boxes) stage.rectangle(box, ACCENT, { opacity, thickness: 3 });
    }
    if (on.has("nodes") && this.walk) this.walk.draw(stage, opacity);
    if (on.has("boxes") && this.boxes.length) stage.label(decision.label, this.boxes[0]);
    this.describe();
  }

  describe() {
    const { decision } = this;
    const lost = decision.lost > 0.0005 ? ` ${percent(decision.lost)} of the decision did not reach the picture.` : "";
    const dark = this.stage.isPartly ? " What is darkened the network did not see." : "";
    const said = `${many(decision.places.length, "important pixel")} for “${decision.label}”.${lost}${dark}`;
    const shown = LAYERS.filter(([key]) => this.state.on.has(key)).map(([, name]) => name.toLowerCase());
    const boxes = this.state.on.has("boxes") ? ` ${many(this.boxes.length, "box", "boxes")}.` : "";
    if (this.caption.textContent !== said) this.caption.textContent = said;
    this.stage.canvas.setAttribute("aria-label", `Photo ${this.picture.name}. ${said} Shown: ${shown.join(", ") || "the photo alone"}.${boxes}`);
  }
}

/** Pictures one at a time, with something to choose among them where there are several. */
function showPictures(root, listed, detailsOf, isSmall) {
  const show = (i) => {
    const view = new View(listed.pictures[i], detailsOf(i), {});
    const old = root.querySelector(".view");
    if (old) old.replaceWith(view.element);
    else root.append(view.element);
  };
  if (listed.pictures.length > 1) {
    const select = make("select", { "aria-label": "Picture", onchange: () => show(select.selectedIndex) },
      ...listed.pictures.map((picture) => make("option", {}, `${picture.name}: ${picture.decisions[0].label}`)));
    root.append(make("label", { class: "which" }, "Picture ", select));
  }
  show(0);
}
