// Makes DOM nodes. Text is always set as text: prompts are other people's words.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` attributes are listeners, `data` its data-attributes; null and false leave an attribute out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "symbol");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `static/page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A button with a symbol and words. */
export function button(label, symbol, onclick, kind = "secondary") {
  return element("button", { type: "button", class: kind, onclick }, symbol ? icon(symbol) : null, label);
}

export const byId = (id) => document.getElementById(id);

/** Says something to screen readers. */
export function announce(text) {
  byId("announce").textContent = text;
}

const toastNode = byId("toast");
let toastTimer = 0;

/** Says something for a few seconds, to everybody. */
export function toast(text) {
  // A dialog that is open covers and silences all else.
  const open = [...document.querySelectorAll("dialog[open]")].pop();
  (open ?? document.body).append(toastNode);
  toastNode.hidden = false;
  toastNode.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toastNode.hidden = true; }, 5000);
}

export const prefersStillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
