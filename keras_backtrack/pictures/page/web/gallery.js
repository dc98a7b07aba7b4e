// Many pictures: cards to search, sort and filter; each opens its picture.

const ORDERS = {
  "as given": () => 0,
  "score, high first": (a, b) => b.decisions[0].score - a.decisions[0].score,
  "score, low first": (a, b) => a.decisions[0].score - b.decisions[0].score,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
};

function showGallery(root, listed, detailsOf) {
  const labelsOf = (picture) => picture.decisions.map((decision) => decision.label);
  const labels = [...new Set(listed.pictures.flatMap(labelsOf))].sort((a, b) => a.localeCompare(b));
  const search = make("input", { type: "search", placeholder: "Search names and classes", "aria-label": "Search names and classes" });
  const order = make("select", { "aria-label": "Sort by" }, ...Object.keys(ORDERS).map((name) => make("option", {}, name)));
  const filter = make("select", { "aria-label": "Class" }, make("option", { value: "" }, "all classes"), ...labels.map((label) => make("option", {}, label)));
  const found = make("p", { class: "found", role: "status" });
  const cards = make("div", { class: "cards" });
  const gallery = make("section", { class: "gallery", "aria-label": "Gallery" },
    make("h1", {}, listed.title),
    make("div", { class: "tools" }, search, make("label", {}, "Sort by ", order), make("label", {}, "Class ", filter)), found, cards);
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      overlay(target, listed.pictures[target.dataset.picture], detailsOf(target.dataset.picture));
    }
  }, { rootMargin: "200px" });
  const all = listed.pictures.map((picture, i) => {
    const [decision] = picture.decisions;
    const image = make("span", { class: "thumb", "data-picture": i }, make("img", { src: picture.photo, alt: `Photo ${picture.name}`, decoding: "async" }));
    watcher.observe(image);
    return make("a", { class: "card", href: `#${i + 1}` }, image,
      make("span", { class: "line" }, make("strong", {}, decision.label), make("span", { class: "score" }, scoreText(decision))),
      make("span", { class: "file", title: picture.name }, picture.name));
  });

  let listedNow = []; // numbers of the pictures, as they are sorted and filtered
  const list = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = listed.pictures
      .map((picture, i) => ({ picture, i, text: [picture.name, ...labelsOf(picture)].join(" ").toLowerCase() }))
      .filter(({ picture, text }) => words.every((word) => text.includes(word)) && (!filter.value || labelsOf(picture).includes(filter.value)));
    kept.sort((a, b) => ORDERS[order.value](a.picture, b.picture));
    listedNow = kept.map(({ i }) => i);
    cards.replaceChildren(...listedNow.map((i) => all[i]));
    found.textContent = kept.length === all.length ? many(all.length, "picture") : `${kept.length} of ${many(all.length, "picture")}`;
  };
  for (const control of [search, order, filter]) control.addEventListener("input", list);

  let from = 0; // how far the gallery was scrolled
  const show = () => {
    const i = Number(location.hash.slice(1)) - 1;
    const isOpen = i in listed.pictures;
    if (isOpen) {
      from = gallery.isConnected ? window.scrollY : from;
      const { rel } = document.activeElement; // of the link that was followed
      const links = waysOn(i, listedNow);
      const view = new View(listed.pictures[i], detailsOf(i), { links });
      root.replaceChildren(view.element);
      window.scrollTo(0, 0);
      const again = links.querySelector(`[rel="${rel}"]`) ?? links.firstChild;
      again.focus({ preventScroll: true });
    } else {
      root.replaceChildren(gallery);
      window.scrollTo(0, from);
    }
  };
  window.addEventListener("hashchange", show);
  list();
  show();
}

/** Links from a picture to all and to those beside it in the gallery. */
function waysOn(i, order) {
  const place = order.indexOf(i);
  const link = (rel, other, text) => other !== undefined && make("a", { rel, href: `#${other + 1}` }, text);
  return make("nav", { "aria-label": "Pictures" },
    make("a", { href: "#" }, "← All pictures"),
    place >= 0 && link("prev", order[place - 1], "Previous"),
    place >= 0 && link("next", order[place + 1], "Next"));
}

/** Lays the attention over a card's photo. */
function overlay(target, picture, details) {
  const { spread } = readDecision(picture.decisions[0], details.decisions[0], picture.size);
  const attention = attentionOf(spread, picture.size, picture.sigma);
  const canvas = attentionPicture(attention, picture.size);
  const [top, left, bottom, right] = picture.part;
  Object.assign(canvas.style, { top: `${100 * top}%`, left: `${100 * left}%`, height: `${100 * (bottom - top)}%`, width: `${100 * (right - left)}%` });
  const [photoHeight, photoWidth] = picture.photo_size;
  const frame = make("span", { class: "over", "aria-hidden": "true" }, canvas);
  frame.style.aspectRatio = `${photoWidth} / ${photoHeight}`;
  target.append(frame);
}
