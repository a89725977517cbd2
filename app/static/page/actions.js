// What can be done with a job, wherever it is shown.

import { cancelJob, deleteJob, retryJob } from "./api.js";
import { explain } from "./advice.js";
import { announce, byId, button, element, toast } from "./elements.js";
import { isFinal } from "./format.js";
import { download, sharedLink } from "./media.js";

/** `page` has `reuse(job)`, `create(body)`, `added(job)`, `changed(job)` and `removed(id)`. */
export function makeActions(page) {
  const attempt = (action) => async (...given) => {
    try {
      return await action(...given);
    } catch (error) {
      if (error.code === "job_not_found") page.removed(given[0].id);
      toast(explain(error));
      announce(explain(error));
      return null;
    }
  };

  const cancel = attempt(async (job) => page.changed(await cancelJob(job.id)));

  const retry = attempt(async (job) => {
    page.added(await retryJob(job.id));
    toast("Queued again.");
  });

  const anew = attempt(async (job) => {
    const { seed, ...params } = job.params;
    await page.create({ model: job.model, ...params });
    toast("Queued with a new seed.");
  });

  const copy = attempt(async (job) => {
    const [link, lasts] = await sharedLink(job.id);
    // Browsers have a clipboard for pages that come over https or from this machine alone.
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(link);
      toast(`Link copied. ${lasts}`);
    } else {
      prompt(`Copy this link. ${lasts}`, link);
    }
  });

  const remove = attempt(async (job) => {
    if (!(await confirmed())) return;
    await deleteJob(job.id);
    page.removed(job.id);
    toast("Deleted.");
  });

  const save = attempt(async (job) => download(job.id));

  /** The buttons that fit a job as it stands. */
  function buttons(job) {
    const made = job.status === "completed" && !job.file_expired;
    const list = [];
    if (made) {
      list.push(button("Download", "download", () => save(job)));
      list.push(button("Copy link", "link", () => copy(job)));
    }
    if (job.status === "failed" || job.status === "cancelled") {
      list.push(button("Retry", "retry", () => retry(job), "primary"));
    }
    if (isFinal(job)) {
      list.push(button("Again with these", "again", () => page.reuse(job)));
      list.push(button("Again with a new seed", "dice", () => anew(job)));
      list.push(button("Delete", "delete", () => remove(job), "secondary danger-text"));
    } else {
      const stop = button("Cancel", "stop", () => cancel(job));
      stop.disabled = job.cancel_requested;
      list.push(stop);
    }
    return element("div", { class: "actions" }, list);
  }

  return { buttons, cancel };
}

function confirmed() {
  const dialog = byId("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "delete"), { once: true });
  });
}
