// Puts the page together.

import { apiKey, listModels } from "./api.js";
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
  removed: (id) => {
    details.close();
    gallery.remove(id);
    stage.remove(id);
  },
});
const stage = makeStage(tracker, actions);
const details = makeDetails(actions);
const gallery = makeGallery((job) => details.open(job));

tracker.addEventListener("ended", ({ detail }) => gallery.add(detail.job));
tracker.addEventListener("failure", ({ detail }) => composer.problem(detail === null ? "" : explain(detail)));

async function load() {
  let models;
  try {
    models = (await listModels()).data;
  } catch (error) {
    if (error.status === 401) return;
    composer.problem(explain(error));
    setTimeout(load, RETRY_MS);
    return;
  }
  composer.problem("");
  composer.setModels(models);
  await Promise.all([gallery.start(models), tracker.start()]);
  await details.openNamed();
}

async function start() {
  startThemeSwitch();
  const config = await (await fetch("static/page/config.json")).json();
  byId("docs-link").hidden = !config.docs;
  useKeys(config.keys);
  if (config.keys) {
    const askForKey = startKeyDialog(() => location.reload());
    if (!apiKey.get()) {
      askForKey();
      return;
    }
  }
  await load();
}

start();
