// A clip by itself: player, parameters, and what can be done with it. The page's address names it.

import { getJob } from "./api.js";
import { explain, forJob } from "./advice.js";
import { byId, element, icon, toast } from "./elements.js";
import { bytes, moment, seconds, STATUS_WORDS } from "./format.js";
import { frameOf, makePlayer } from "./player.js";
import { notes } from "./stage.js";

export function makeDetails(actions) {
  const dialog = byId("details");

  function open(job) {
    dialog.replaceChildren(...contents(job, actions, () => dialog.close()));
    if (!dialog.open) dialog.showModal();
    history.replaceState(null, "", `#${job.id}`);
  }

  /** The clip that the address names, as after a reload. */
  async function openNamed() {
    const id = location.hash.slice(1);
    if (!/^video_[0-9A-Za-z]{26}$/.test(id)) return;
    try {
      open(await getJob(id));
    } catch (error) {
      toast(explain(error));
      history.replaceState(null, "", location.pathname + location.search);
    }
  }

  dialog.addEventListener("close", () => {
    // Stops the player.
    dialog.replaceChildren();
    history.replaceState(null, "", location.pathname + location.search);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  return { open, openNamed, close: () => dialog.open && dialog.close() };
}

function contents(job, actions, close) {
  return [
    element("header", {},
      element("h2", { id: "details-title" }, job.params.prompt),
      element("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: close }, icon("close"))),
    show(job),
    ...notes(job),
    actions.buttons(job),
    element("h3", {}, "Parameters"),
    element("dl", { class: "facts" }, facts(job).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
  ];
}

function show(job) {
  if (job.error) return element("p", { class: "problem" }, element("strong", {}, job.error.message), ` ${forJob(job.error)}`);
  if (job.file_expired) return element("p", { class: "note" }, "The file's time is over; make it again with the same parameters to get it back.");
  if (job.status !== "completed") return element("p", { class: "note" }, `${STATUS_WORDS[job.status]}.`);
  return frameOf(job, makePlayer(job));
}

function facts(job) {
  const { params, video, timings } = job;
  const rows = [
    ["Status", STATUS_WORDS[job.status]],
    ["Model", job.model],
    ["Seed", params.seed],
    ["Size", `${params.width} × ${params.height}`],
    ["Frames", `${params.num_frames} at ${params.fps} a second`],
    ["Steps", params.num_inference_steps],
    ["Guidance", params.guidance_scale],
    ["Sampler", params.scheduler],
  ];
  if (params.negative_prompt) rows.push(["Leave out", params.negative_prompt]);
  if (video) rows.push(["File", `${bytes(video.size_bytes)}, ${seconds(video.duration_seconds)}`]);
  if (timings.denoise) rows.push(["Sampling", seconds(timings.denoise)]);
  rows.push(["Made", moment(job.created_at)]);
  if (job.expires_at && !job.file_expired) rows.push(["Kept until", moment(job.expires_at)]);
  rows.push(["Id", element("code", {}, job.id)]);
  return rows;
}
