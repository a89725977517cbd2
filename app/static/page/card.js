// One clip in the gallery: a picture that plays while it is pointed at.

import { element, prefersStillness } from "./elements.js";
import { ago, moment, STATUS_WORDS } from "./format.js";
import { clipAddress, pictureAddress } from "./media.js";

const LINGER_MS = 120;

export function makeCard(job, onopen) {
  const has = job.status === "completed" && !job.file_expired;
  const poster = element("button", { type: "button", class: "poster", onclick: onopen, "aria-label": label(job) });
  poster.style.aspectRatio = `${job.params.width} / ${job.params.height}`;
  if (has) {
    poster.append(picture(job));
    if (!prefersStillness()) playWhilePointedAt(poster, job);
  } else {
    poster.append(element("span", { class: `badge ${job.status}` }, job.file_expired ? "File expired" : STATUS_WORDS[job.status]));
  }
  return element("li", { class: "clip", data: { id: job.id } },
    poster,
    element("p", { class: "words", dir: "auto" }, job.params.prompt),
    element("p", { class: "hint" }, job.model, " · ",
      element("time", { datetime: job.created_at, title: moment(job.created_at) }, ago(job.created_at))));
}

function label(job) {
  const state = job.file_expired ? "file expired" : STATUS_WORDS[job.status].toLowerCase();
  return `Open: ${job.params.prompt} (${state})`;
}

function picture(job) {
  const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
  // Whoever deletes a clip elsewhere leaves a picture behind that is no more.
  image.addEventListener("error", () => { image.hidden = true; });
  pictureAddress(job.id).then((url) => { image.src = url; }, () => { image.hidden = true; });
  return image;
}

function playWhilePointedAt(poster, job) {
  let timer = 0;
  let video = null;

  async function play() {
    const url = await clipAddress(job.id);
    if (!timer) return;
    video = element("video", { loop: true, playsinline: true, "aria-hidden": "true", tabindex: -1 });
    video.muted = true;
    video.src = url;
    video.addEventListener("playing", () => video?.classList.add("plays"));
    poster.append(video);
    // Refused where the pointer has left meanwhile.
    video.play().catch(() => stop());
  }

  function start() {
    if (!timer) timer = setTimeout(() => play().catch(stop), LINGER_MS);
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    video?.removeAttribute("src");
    video?.load();
    video?.remove();
    video = null;
  }

  poster.addEventListener("pointerenter", start);
  poster.addEventListener("pointerleave", stop);
  poster.addEventListener("focus", () => poster.matches(":focus-visible") && start());
  poster.addEventListener("blur", stop);
}
