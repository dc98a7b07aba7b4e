// Small helpers: elements, and how numbers are written.

/** Makes an element. Attributes named on… are listeners; true and false switch an attribute. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

const percent = (share) => {
  const value = Math.abs(share * 100);
  if (value === 0) return "0 %";
  if (value < 0.0001) return "< 0.0001 %";
  const digits = value < 0.01 ? Number(value.toPrecision(2)) : value.toFixed(value < 1 ? 2 : 1);
  return `${share < 0 ? "−" : ""}${digits} %`;
};

const number = (value) => String(Number(value.toPrecision(4))).replace("-", "−");

/** A share between 0 and 1 as percent, any other score as it is. */
const valueText = (score) => (score >= 0 && score <= 1 ? percent(score) : number(score));

/** A decision's score, or the logits of the two classes it is between. */
const scoreText = ({ score, logits }) =>
  logits ? `logits ${logits.map(number).join(" and ")}` : valueText(score);

const many = (count, thing, things = `${thing}s`) => `${count.toLocaleString("en")} ${count === 1 ? thing : things}`;

/** A slider with its name and its value in words. `change` is called at every move. */
function slider(name, { min, max, step, value, text, hint }, change) {
  const output = make("output", {}, text(value));
  const input = make("input", { type: "range", min, max, step, value, "aria-label": name });
  const show = () => {
    const now = Number(input.value);
    output.textContent = text(now);
    input.setAttribute("aria-valuetext", text(now));
    return now;
  };
  input.addEventListener("input", () => change(show()));
  show();
  const set = (now) => {
    input.value = now;
    show();
  };
  return { input, set, element: make("label", { class: "slider", title: hint }, make("span", {}, name), input, output) };
}

/** Calls `draw` once before the next picture on the screen, however often it is asked to. */
function once(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
