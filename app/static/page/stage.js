// The place beside the form: the clip in the making, and then the clip.

import { forJob } from "./advice.js";
import { announce, byId, element, icon } from "./elements.js";
import { seconds, standing } from "./format.js";
import { frameOf, makePlayer } from "./player.js";

/** Shows what the tracker knows, and the newest job that has ended while the page was open. */
export function makeStage(tracker, actions) {
  const place = byId("stage");
  const queue = byId("queue");
  let result = null;
  let shown = { key: "", parts: null };

  function show(key, build) {
    if (shown.key !== key) {
      shown = { key, parts: build() };
      place.replaceChildren(...shown.parts.nodes);
    }
    return shown.parts;
  }

  function render() {
    const [front, ...others] = tracker.list;
    if (front) showProgress(front);
    else if (result) showResult(result.job, result.preview);
    else show("empty", empty);
    showQueue(others);
  }

  function showProgress(job) {
    const parts = show(`${job.id}/${job.fence ? "runs" : "waits"}/${job.cancel_requested}`, () => progress(job, actions));
    const preview = tracker.previews.get(job.id);
    if (preview && parts.picture.src !== preview) {
      parts.picture.src = preview;
      parts.picture.hidden = false;
      // What is left of the noise decides how much of the picture may be seen sharply.
      parts.frame.style.setProperty("--blur", `${(1 - job.progress.percent / 100) * 6}px`);
    }
    const text = standing(job);
    parts.standing.textContent = text;
    parts.percent.textContent = job.status === "in_progress" ? `${Math.floor(job.progress.percent)}%` : "";
    if (job.status === "in_progress" && job.progress.step) parts.bar.value = job.progress.percent;
    else parts.bar.removeAttribute("value");
    tell(job, text);
  }

  let told = "";
  /** Screen readers hear of each quarter, not of each step. */
  function tell(job, text) {
    const quarter = Math.floor(job.progress.percent / 25);
    const now = `${job.id}/${job.status}/${quarter}/${job.queue_position}`;
    if (now === told) return;
    told = now;
    announce(job.status === "in_progress" && quarter ? `${quarter * 25} percent. ${text}` : text);
  }

  function showResult(job, preview) {
    show(`${job.id}/ended`, () => ended(job, preview, actions, dismiss));
  }

  function dismiss() {
    result = null;
    render();
    byId("prompt").focus();
  }

  function showQueue(jobs) {
    queue.hidden = jobs.length === 0;
    const known = new Map([...queue.children].map((row) => [row.dataset.id, row]));
    const rows = jobs.map((job) => {
      const row = known.get(job.id) ?? waiting(job, actions, tracker);
      row.querySelector(".hint").textContent = standing(job);
      row.querySelector("button").disabled = job.cancel_requested;
      return row;
    });
    if (tracker.waitsMore) rows.push(element("li", { class: "hint" }, "More are waiting behind these."));
    if (rows.length !== queue.children.length || rows.some((row, place) => row !== queue.children[place])) {
      const focused = document.activeElement;
      queue.replaceChildren(...rows);
      if (queue.contains(focused)) focused.focus();
    }
  }

  tracker.addEventListener("change", render);
  tracker.addEventListener("ended", ({ detail }) => {
    const { job } = detail;
    // Each job has a stream of its own: news of an earlier end may come after that of a later one.
    if (!result || job.completed_at >= result.job.completed_at) result = detail;
    announce(job.status === "completed" ? `Your clip is ready: ${job.params.prompt}` : `${standing(job)}: ${job.params.prompt}`);
    render();
  });
  render();

  return {
    /** Forget a clip that was deleted. */
    remove(id) {
      if (result?.job.id !== id) return;
      result = null;
      render();
    },
  };
}

/** What moves where there is no picture yet. */
function motif() {
  return element("div", { class: "scene", "aria-hidden": "true" }, element("i"), element("i"), element("i"));
}

function empty() {
  return {
    nodes: [
      element("div", { class: "frame idle" }, motif()),
      element("p", { class: "lead" }, "Your clip takes shape here."),
      element("p", { class: "hint" }, "Choose an example or write your own, then press Generate."),
    ],
  };
}

function progress(job, actions) {
  const picture = element("img", { alt: "", class: "preview", hidden: true });
  const frame = frameOf(job, motif(), picture);
  const bar = element("progress", { max: 100, "aria-label": `Progress: ${job.params.prompt}` });
  const standingText = element("span", {});
  const percent = element("span", { class: "percent" });
  return {
    nodes: [
      frame,
      element("p", { class: "lead clamped", dir: "auto" }, job.params.prompt),
      bar,
      element("p", { class: "standing" }, standingText, percent),
      actions.buttons(job),
    ],
    picture, frame, bar, percent, standing: standingText,
  };
}

function ended(job, preview, actions, dismiss) {
  const head = element("div", { class: "result-head" },
    element("p", { class: "lead clamped", dir: "auto" }, job.params.prompt),
    element("button", { type: "button", class: "quiet icon", "aria-label": "Put away", onclick: dismiss }, icon("close")));
  if (job.status !== "completed") {
    const words = job.error ? [element("strong", {}, job.error.message), ` ${forJob(job.error)}`] : ["Cancelled."];
    return { nodes: [head, element("p", { class: job.error ? "problem" : "hint" }, words), actions.buttons(job)] };
  }
  const { denoise, decode, encode } = job.timings;
  const took = (denoise ?? 0) + (decode ?? 0) + (encode ?? 0);
  const facts = [`Made in ${seconds(took)}`, `seed ${job.params.seed}`];
  return {
    nodes: [frameOf(job, makePlayer(job, preview)), head, ...notes(job), element("p", { class: "hint" }, facts.join(" · ")), actions.buttons(job)],
  };
}

/** What the model made nothing of. */
export function notes(job) {
  const found = [];
  if (job.unknown_words.length) found.push(`The model does not know: ${job.unknown_words.join(", ")}.`);
  if (job.dropped_text) found.push(`The prompt was too long; this was left out: ${job.dropped_text}`);
  return found.map((text) => element("p", { class: "note" }, text));
}

function waiting(job, actions, tracker) {
  const stop = element("button", {
    type: "button", class: "quiet", onclick: () => actions.cancel(tracker.jobs.get(job.id) ?? job),
    "aria-label": `Cancel: ${job.params.prompt}`,
  }, "Cancel");
  return element("li", { data: { id: job.id } },
    element("div", {}, element("p", { dir: "auto" }, job.params.prompt), element("p", { class: "hint" })), stop);
}
