// Puts the page together.

import { apiKey, listModels, pageConfig } from "./api.js";
import { explain } from "./advice.js";
import { makeActions } from "./actions.js";
import { makeComposer } from "./composer.js";
import { makeDetails } from "./details.js";
import { byId } from "./elements.js";
import { makeGallery } from "./gallery.js";
import { startKeyDialog } from "./key.js";
import { useKeys } from "./media.js";
import { makeStage } from "./stage.js";
import { startThemeSwitch } from "./theme-switch.js";
import { Tracker } from "./tracker.js";

const RETRY_MS = 3000;
const NEEDS_KEY = "This service needs an API key: press API key at the top of the page.";
const TITLE = document.title;

const tracker = new Tracker();
const composer = makeComposer((job) => tracker.add(job));
const actions = makeActions({
  create: composer.create,
  added: (job) => {
    details.close();
    tracker.add(job);
  },
  changed: (job) => tracker.add(job),
  reuse: (job) => {
    details.close();
    composer.reuse(job);
  },
  removed,
});
const stage = makeStage(tracker, actions);
const details = makeDetails(actions, removed);
const gallery = makeGallery((job) => details.open(job));

tracker.addEventListener("ended", ({ detail }) => gallery.add(detail.job));
tracker.addEventListener("looked", () => gallery.catchUp());
tracker.addEventListener("change", () => { document.title = titleOf(tracker.list[0]); });
tracker.addEventListener("failure", ({ detail }) => composer.problem(detail === null ? "" : explain(detail)));

/** How far the clip is, for those who look at another tab meanwhile. */
function titleOf(job) {
  return job?.status === "in_progress" ? `${Math.floor(job.progress.percent)}% · ${TITLE}` : TITLE;
}

function removed(id) {
  details.close();
  gallery.remove(id);
  stage.remove(id);
}

async function load() {
  let models;
  try {
    models = (await listModels()).data;
  } catch (error) {
    if (error.status === 401) {
      composer.problem(NEEDS_KEY);
      return;
    }
    composer.problem(explain(error));
    setTimeout(load, RETRY_MS);
    return;
  }
  composer.problem("");
  composer.setModels(models);
  await Promise.all([gallery.start(models), tracker.start()]);
  await details.openNamed();
}

async function getConfig() {
  for (;;) {
    try {
      return await pageConfig();
    } catch (error) {
      composer.problem(explain(error));
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

async function start() {
  startThemeSwitch();
  const config = await getConfig();
  byId("docs-link").hidden = !config.docs;
  useKeys(config.keys);
  if (config.keys) {
    const askForKey = startKeyDialog(() => location.reload());
    if (!apiKey.get()) {
      composer.problem(NEEDS_KEY);
      askForKey();
      return;
    }
  }
  await load();
}

start();
