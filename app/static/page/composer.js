// The form that makes clips.

import { ApiError, createClip } from "./api.js";
import { explain } from "./advice.js";
import { announce, byId, element } from "./elements.js";
import { makeFields } from "./fields.js";
import { tabStorage } from "./storage.js";

const DRAFT = "t2v.draft";
const MAX_PROMPT = 4000;
// With the tier that they ask for, and how many times its steps.
const PRESETS = [["draft", "Draft", "fast", 1], ["standard", "Standard", "exact", 1], ["best", "Best", "exact", 2]];

/** On a phone the clip in the making is below the form. */
function showStage() {
  const stage = byId("stage");
  if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView({ block: "nearest" });
}

/** `oncreated(job)` hears of every new job. */
export function makeComposer(oncreated) {
  const form = byId("composer");
  const prompt = byId("prompt");
  const select = byId("model");
  const fields = makeFields(byId("fields"), (name) => {
    if (name === "quality") choose(fields.inputs.get("quality").value, 1);
    if (name === "quality" || name === "num_inference_steps") markPreset();
    keepDraft();
  });
  let models = [];

  const model = () => models.find((each) => each.id === select.value);
  const tier = (quality) => model().tiers.find((each) => each.quality === quality);

  function stepsOf(quality, factor) {
    const { minimum, maximum } = model().limits.num_inference_steps;
    return Math.min(maximum, Math.max(minimum, Math.round(tier(quality).num_inference_steps * factor)));
  }

  /** A tier brings its steps and its scheduler. */
  function choose(quality, factor) {
    const { scheduler } = tier(quality);
    fields.setValues({ quality, scheduler, num_inference_steps: stepsOf(quality, factor) });
  }

  for (const [name, label, quality, factor] of PRESETS) {
    const onchange = () => {
      choose(quality, factor);
      keepDraft();
    };
    byId("presets").append(
      element("label", {},
        element("input", { type: "radio", name: "preset", value: name, onchange }),
        element("span", {}, label, element("small", {}))),
    );
  }

  function markPreset() {
    const { quality: chosen, num_inference_steps: steps } = fields.values();
    for (const [name, , quality, factor] of PRESETS) {
      const radio = form.querySelector(`input[name=preset][value=${name}]`);
      radio.parentElement.hidden = !tier(quality);
      if (radio.parentElement.hidden) continue;
      radio.checked = quality === chosen && steps === stepsOf(quality, factor);
      radio.parentElement.querySelector("small").textContent = `${stepsOf(quality, factor)} steps`;
    }
  }

  function useModel() {
    fields.useModel(model());
    byId("model-hint").textContent =
      model().description + (model().commercial_use ? "" : ` No commercial use (${model().licence}).`);
    byId("examples").replaceChildren(
      ...(model().example_prompts).map((text) =>
        element("button", { type: "button", class: "chip", onclick: () => setPrompt(text) }, text)),
    );
    markPreset();
  }

  /** In characters as the service counts them. */
  const length = () => [...prompt.value.trim()].length;

  /** Said once it matters. */
  function showLength() {
    const count = byId("prompt-count");
    count.hidden = length() <= 0.9 * MAX_PROMPT;
    count.textContent = `${length()} of ${MAX_PROMPT} characters`;
    promptError("");
  }

  function setPrompt(text) {
    prompt.value = text;
    showLength();
    prompt.focus();
    keepDraft();
  }

  function promptError(message) {
    Object.assign(byId("prompt-error"), { textContent: message, hidden: !message });
    if (message) prompt.setAttribute("aria-invalid", "true");
    else prompt.removeAttribute("aria-invalid");
  }

  function keepDraft() {
    const draft = { prompt: prompt.value, model: select.value, values: fields.values() };
    tabStorage.setItem(DRAFT, JSON.stringify(draft));
  }

  function restoreDraft() {
    const draft = JSON.parse(tabStorage.getItem(DRAFT) ?? "null");
    if (draft === null) return;
    prompt.value = draft.prompt;
    showLength();
    if (models.some((each) => each.id === draft.model)) load(draft.model, draft.values);
  }

  function load(name, values) {
    select.value = name;
    useModel();
    fields.setValues(values);
    markPreset();
  }

  function setModels(list) {
    models = list;
    const known = list.map((each) => element("option", { value: each.id, selected: each.default }, each.id));
    select.replaceChildren(...known);
    useModel();
    restoreDraft();
  }

  /** Take a job's parameters back into the form. */
  function reuse(job) {
    if (models.some((each) => each.id === job.model)) load(job.model, job.params);
    setPrompt(job.params.prompt);
    byId("advanced").open = true;
    form.scrollIntoView({ block: "nearest" });
    announce("The form holds this clip's prompt and parameters.");
  }

  function refused() {
    if (!prompt.value.trim()) {
      promptError("Say what the clip shows, or choose one of the examples.");
      prompt.focus();
      return true;
    }
    if (length() > MAX_PROMPT) {
      promptError(`A prompt may have ${MAX_PROMPT} characters; this one has ${length()}.`);
      prompt.focus();
      return true;
    }
    promptError("");
    const field = fields.check(model());
    if (field === null) return false;
    byId("advanced").open = true;
    fields.inputs.get(field).focus();
    return true;
  }

  function problem(text) {
    Object.assign(byId("problem"), { textContent: text, hidden: !text });
  }

  async function create(body) {
    const job = await createClip(body);
    oncreated(job);
    showStage();
    return job;
  }

  async function submit() {
    if (byId("generate").disabled) return;
    if (!model()) {
      // What keeps them away stands there already, unless they are on their way.
      if (byId("problem").hidden) problem("The models are not here yet. Try again in a moment.");
      return;
    }
    problem("");
    if (refused()) return;
    byId("generate").disabled = true;
    try {
      await create({ prompt: prompt.value, model: select.value, ...fields.values() });
    } catch (error) {
      showFailure(error);
    } finally {
      byId("generate").disabled = false;
    }
  }

  function showFailure(error) {
    if (error.status === 401) return;
    if (error instanceof ApiError && error.param) {
      if (error.param === "prompt") return promptError(error.message);
      if (fields.showError(error.param, error.message)) {
        byId("advanced").open = true;
        return fields.inputs.get(error.param).focus();
      }
    }
    problem(explain(error));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  prompt.addEventListener("input", () => {
    showLength();
    keepDraft();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  });
  select.addEventListener("change", () => {
    useModel();
    keepDraft();
  });

  return { setModels, reuse, create, problem };
}
