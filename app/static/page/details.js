// A clip by itself: player, parameters, and what can be done with it. The page's address names it.

import { getJob } from "./api.js";
import { explain, forJob } from "./advice.js";
import { byId, element, icon, toast } from "./elements.js";
import { bytes, moment, seconds, STATUS_WORDS } from "./format.js";
import { frameOf, makePlayer } from "./player.js";
import { notes } from "./stage.js";

/** `ongone(id)` hears of a clip that is no more, be it deleted elsewhere. */
export function makeDetails(actions, ongone) {
  const dialog = byId("details");
  let opener = null;

  /** A record may be older than the page's last look: what is there now takes its place. */
  function open(job) {
    show(job);
    refresh(job);
  }

  function show(job) {
    dialog.dataset.id = job.id;
    dialog.replaceChildren(...contents(job, actions, () => dialog.close()));
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    showWhetherCut(dialog);
    // The browser's way back closes the clip, as on a phone one expects it to.
    if (location.hash === `#${job.id}`) return;
    // Nor does it move what is behind.
    history.scrollRestoration = "manual";
    history.pushState({ clip: job.id }, "", `#${job.id}`);
  }

  async function refresh(seen) {
    try {
      const job = await getJob(seen.id);
      const isNews = job.status !== seen.status || job.file_expired !== seen.file_expired;
      if (isNews && dialog.open && dialog.dataset.id === job.id) show(job);
    } catch (error) {
      if (error.status === 404) ongone(seen.id);
      toast(explain(error));
    }
  }

  /** The clip that the address names, as after a reload, or when one follows a link to it. */
  async function openNamed() {
    const id = named();
    if (id === null) return;
    try {
      show(await getJob(id));
    } catch (error) {
      toast(explain(error));
      history.replaceState(null, "", location.pathname + location.search);
    }
  }

  function followAddress() {
    if (named() !== null) {
      openNamed();
      return;
    }
    history.scrollRestoration = "auto";
    close();
    // Going back takes, a moment later, the focus that the dialog has just returned.
    requestAnimationFrame(() => opener?.focus({ preventScroll: true }));
  }

  const close = () => dialog.open && dialog.close();

  dialog.addEventListener("close", () => {
    // Stops the player.
    dialog.replaceChildren();
    if (named() === null) return;
    if (history.state?.clip) history.back();
    else history.replaceState(null, "", location.pathname + location.search);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  addEventListener("popstate", followAddress);

  return { open, openNamed, close };
}

/** The id of the clip that the page's address names, or null. */
function named() {
  const id = location.hash.slice(1);
  return /^video_[0-9A-Za-z]{26}$/.test(id) ? id : null;
}

function contents(job, actions, close) {
  return [
    element("header", {},
      element("h2", { id: "details-title", class: "clamped", dir: "auto" }, job.params.prompt),
      element("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: close }, icon("close"))),
    element("button", { type: "button", class: "show-all", hidden: true, "aria-expanded": "false", onclick: toggleAll }, "Show all of the prompt"),
    element("div", { class: "clip-and-facts" },
      element("div", { class: "clip-side" }, picture(job), ...notes(job), actions.buttons(job)),
      element("div", {},
        element("h3", {}, "Parameters"),
        element("dl", { class: "facts" }, facts(job).flatMap(([name, value]) => [element("dt", {}, name), element("dd", { dir: "auto" }, value)])))),
  ];
}

/** Only what is drawn tells whether a long prompt was cut. */
function showWhetherCut(dialog) {
  const title = dialog.querySelector("h2");
  dialog.querySelector(".show-all").hidden = title.scrollHeight <= title.clientHeight + 1;
}

function toggleAll({ currentTarget: button }) {
  const isCut = byId("details-title").classList.toggle("clamped");
  button.setAttribute("aria-expanded", String(!isCut));
  button.textContent = isCut ? "Show all of the prompt" : "Show less of the prompt";
}

function picture(job) {
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
    ["Frames", `${params.num_frames} at ${params.fps} per second`],
    ["Steps", params.num_inference_steps],
    ["Guidance", params.guidance_scale],
    ["Scheduler", params.scheduler],
    ["Tier", params.quality],
  ];
  if (params.negative_prompt) rows.push(["Negative prompt", params.negative_prompt]);
  if (video) rows.push(["File", `${bytes(video.size_bytes)}, ${seconds(video.duration_seconds)}`]);
  if (timings.denoise) rows.push(["Sampling", seconds(timings.denoise)]);
  rows.push(["Made", moment(job.created_at)]);
  if (job.expires_at && !job.file_expired) rows.push(["Kept until", moment(job.expires_at)]);
  rows.push(["Id", element("code", {}, job.id)]);
  return rows;
}
