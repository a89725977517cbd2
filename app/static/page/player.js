// Plays one clip.

import { explain } from "./advice.js";
import { element, prefersStillness, toast } from "./elements.js";
import { clipAddress, pictureAddress } from "./media.js";

/** A place in the clip's shape. */
export function frameOf(job, ...children) {
  const frame = element("div", { class: "frame" }, ...children);
  frame.style.setProperty("--ratio", job.params.width / job.params.height);
  return frame;
}

/** A player that runs in a loop. `poster` is shown until the clip's own picture is there. */
export function makePlayer(job, poster = null) {
  const video = element("video", { controls: true, loop: true, playsinline: true, poster, "aria-label": job.params.prompt });
  // Clips have no sound; browsers only start muted ones by themselves.
  video.muted = true;
  video.autoplay = !prefersStillness();
  video.addEventListener("error", () => {
    const why = "The clip could not be played. Reload the page; if it stays so, the clip is gone or the service is away.";
    video.parentElement?.classList.add("broken");
    video.replaceWith(element("p", { class: "problem" }, why));
  });
  load(video, job).catch((error) => toast(explain(error)));
  return video;
}

async function load(video, job) {
  video.poster = await pictureAddress(job.id);
  video.src = await clipAddress(job.id);
}
