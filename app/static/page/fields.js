// The fields under "Advanced", with the limits of the chosen model.

import { element } from "./elements.js";

const NUMBERS = [
  ["width", "Width", "pixels"],
  ["height", "Height", "pixels"],
  ["num_frames", "Frames", ""],
  ["fps", "Frames per second", ""],
  ["num_inference_steps", "Steps", ""],
  ["guidance_scale", "Guidance", ""],
];
const MAX_SEED = 2 ** 32 - 1;

/** `onedit(name)` hears of every change that a person makes. */
export function makeFields(container, onedit) {
  const inputs = new Map();
  const errors = new Map();
  const hints = new Map();

  function add(name, label, input, wide = false) {
    input.id = `field-${name}`;
    input.name = name;
    const hint = element("p", { class: "hint", id: `hint-${name}` });
    const error = element("p", { class: "error", id: `error-${name}`, hidden: true });
    input.setAttribute("aria-describedby", `${error.id} ${hint.id}`);
    input.addEventListener("input", () => onedit(name));
    inputs.set(name, input);
    errors.set(name, error);
    hints.set(name, hint);
    container.append(
      element("div", { class: wide ? "field wide" : "field" }, element("label", { for: input.id }, label), input, hint, error),
    );
  }

  add("negative_prompt", "Negative prompt", element("textarea", { rows: 1, dir: "auto" }), true);
  hints.get("negative_prompt").textContent = "What the clip should not show.";
  for (const [name, label] of NUMBERS) add(name, label, element("input", { type: "number", inputmode: "decimal" }));
  add("scheduler", "Scheduler", element("select"));
  add("quality", "Tier", element("select"));
  hints.get("quality").textContent = "The others are done sooner than exact, for a clip that differs.";
  add("seed", "Seed", element("input", { type: "number", inputmode: "numeric", min: 0, max: MAX_SEED, step: 1 }));
  inputs.get("seed").placeholder = "random";
  hints.get("seed").textContent = "Empty for a new one each time. Equal seeds give equal clips.";

  /** Take a model's limits, and its defaults as values. */
  function useModel(model) {
    for (const [name, , unit] of NUMBERS) {
      const { minimum, maximum, multiple_of: step = "any" } = model.limits[name];
      const input = inputs.get(name);
      Object.assign(input, { min: minimum, max: maximum, step, readOnly: minimum === maximum });
      const size = unit && ` ${unit}`;
      const inSteps = step > 1 ? ` in steps of ${step}` : "";
      hints.get(name).textContent =
        minimum === maximum ? `${minimum}${size}, fixed by the model.` : `${minimum} to ${maximum}${size}${inSteps}.`;
    }
    const scheduler = inputs.get("scheduler");
    scheduler.replaceChildren(...model.schedulers.map((name) => element("option", { value: name }, name)));
    const tiers = model.tiers.map(({ quality, description }) =>
      element("option", { value: quality, title: description }, quality));
    inputs.get("quality").replaceChildren(...tiers);
    setValues({ ...model.defaults, quality: "exact", seed: "" });
  }

  function setValues(values) {
    for (const [name, input] of inputs) {
      if (values[name] !== undefined && values[name] !== null) input.value = values[name];
    }
    clearErrors();
  }

  /** As the API takes them. */
  function values() {
    const found = {};
    for (const [name, input] of inputs) {
      if (input.value === "" && input.type === "number") continue;
      found[name] = input.type === "number" ? Number(input.value) : input.value;
    }
    return found;
  }

  /** The name of the first field that the model would refuse; what is wrong is said beside each. */
  function check(model) {
    clearErrors();
    let first = null;
    const refuse = (name, message) => {
      showError(name, message);
      first ??= name;
    };
    for (const [name, input] of inputs) {
      if (input.type !== "number" || input.validity.valid) continue;
      if (name === "seed") refuse(name, `Give a whole number from 0 to ${MAX_SEED}, or leave it empty.`);
      else refuse(name, `Give ${hints.get(name).textContent}`);
    }
    if (first) return first;
    const { width, height, num_frames: frames } = values();
    if (width * height * frames > model.limits.max_pixels) {
      const fit = Math.floor(model.limits.max_pixels / (width * height));
      refuse("num_frames", fit ? `At this size at most ${fit} frames fit.` : "Choose a smaller size.");
    }
    return first;
  }

  /** Whether there is such a field to say it beside. */
  function showError(name, message) {
    const input = inputs.get(name);
    if (!input) return false;
    input.setAttribute("aria-invalid", "true");
    Object.assign(errors.get(name), { textContent: message, hidden: false });
    return true;
  }

  function clearErrors() {
    for (const [name, input] of inputs) {
      input.removeAttribute("aria-invalid");
      errors.get(name).hidden = true;
    }
  }

  return { inputs, useModel, setValues, values, check, showError };
}
