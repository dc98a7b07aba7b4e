// Finds the data beside this script and shows it.

const host = document.currentScript && document.currentScript.parentElement;

if (host) {
  const read = (element) => JSON.parse(element.textContent);
  const listed = read(host.querySelector("script.listed"));
  const blocks = [...host.querySelectorAll("script.details")];
  const cache = new Map();
  // Large, and needed only of the picture that is looked at.
  const detailsOf = (i) => {
    if (!cache.has(i)) cache.set(i, read(blocks[i]));
    return cache.get(i);
  };
  const style = host.querySelector("template.style");
  let root = host.querySelector(".page");
  if (style) {
    // In a notebook, whose own style must not reach in nor this one out.
    const shadow = host.querySelector(".still").parentElement.attachShadow({ mode: "open" });
    const dark = document.body.dataset.jpThemeLight === "false" || document.body.classList.contains("vscode-dark");
    const light = document.body.dataset.jpThemeLight === "true" || document.body.classList.contains("vscode-light");
    root = make("div", { class: "page small" });
    if (dark || light) root.style.colorScheme = dark ? "dark" : "light";
    shadow.append(style.content.cloneNode(true), root);
  }
  if (listed.pictures.length > 1 && !style) showGallery(root, listed, detailsOf);
  else showPictures(root, listed, detailsOf, Boolean(style));
}
