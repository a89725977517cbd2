// The clips made so far, newest first, as far down as one looks.

import { listJobs } from "./api.js";
import { explain } from "./advice.js";
import { byId } from "./elements.js";
import { isFinal, plural } from "./format.js";
import { makeCard } from "./card.js";

const PAGE = 24;
const TYPING_MS = 250;
const CATCH_UP_MS = 8000;

/** `onopen(job)` hears of the clip that one wants to look at. */
export function makeGallery(onopen) {
  const list = byId("gallery");
  const form = byId("filters");
  const more = byId("more");
  const jobs = new Map();
  let loading = null;
  let catching = null;
  let lastId = null;
  let typing = 0;
  let lastLoaded = 0;

  const filters = () => ({ q: form.elements.q.value.trim(), status: form.elements.status.value, model: form.elements.model.value });
  const isFiltered = () => Object.values(filters()).some(Boolean);

  function matches(job) {
    const { q, status, model } = filters();
    return job.params.prompt.toLowerCase().includes(q.toLowerCase()) &&
      (!status || status === job.status) && (!model || model === job.model);
  }

  /** From the top. Cards that stay are not touched: someone may be about to press one. */
  async function reload() {
    catching?.abort();
    keepFilters();
    await load(true);
  }

  async function load(anew = false) {
    loading?.abort();
    const mine = (loading = new AbortController());
    list.setAttribute("aria-busy", "true");
    try {
      const page = await listJobs({ ...filters(), limit: PAGE, after: anew ? null : lastId }, mine.signal);
      if (anew) keepOnly(new Set(page.data.map((job) => job.id)));
      for (const job of page.data) if (isFinal(job) && !jobs.has(job.id)) place(job);
      lastId = page.last_id ?? (anew ? null : lastId);
      more.hidden = !page.has_more;
      more.textContent = "Show more";
      lastLoaded = Date.now();
      say();
    } catch (error) {
      if (error.name === "AbortError") return;
      more.hidden = false;
      more.textContent = "Try again";
      byId("gallery-note").textContent = explain(error);
      return;
    } finally {
      if (loading === mine) {
        list.removeAttribute("aria-busy");
        loading = null;
      }
    }
    // The observer speaks only when the button comes into view, which it may still be in.
    if (!more.hidden && isInView(more)) load();
  }

  /** Ids are in the order of creation. */
  function place(job) {
    jobs.set(job.id, job);
    const node = makeCard(job, () => onopen(jobs.get(job.id)));
    const older = [...list.children].find((other) => other.dataset.id < job.id);
    list.insertBefore(node, older ?? null);
    return node;
  }

  function keepOnly(ids) {
    for (const node of [...list.children]) {
      if (ids.has(node.dataset.id)) continue;
      jobs.delete(node.dataset.id);
      node.remove();
    }
  }

  function say() {
    const none = isFiltered() ? "No clip fits. Try other words, or all clips." : "No clips yet. The first one you make appears here.";
    byId("gallery-note").textContent = jobs.size ? `${plural(jobs.size, "clip")}${more.hidden ? "" : " so far"}` : none;
  }

  /** A job that has ended. */
  function add(job) {
    if (!matches(job) || jobs.has(job.id)) return;
    place(job).classList.add("new");
    say();
  }

  /** What was made or deleted elsewhere since: in another tab, by a program. */
  async function catchUp() {
    if (loading || !lastLoaded || Date.now() - lastLoaded < CATCH_UP_MS) return;
    const mine = (catching = new AbortController());
    const known = [...jobs.keys()];
    lastLoaded = Date.now();
    try {
      const { data, has_more: isMore, last_id: last } = await listJobs({ ...filters(), limit: PAGE }, mine.signal);
      const found = new Set(data.map((job) => job.id));
      for (const id of known) if (!found.has(id) && (!isMore || id > last)) remove(id, { isOurs: false });
      for (const job of data) if (isFinal(job)) add(job);
    } catch {
      // Other clips are asked for by now, or the service is away, which the tracker says.
    }
  }

  function remove(id, { isOurs = true } = {}) {
    if (!jobs.delete(id)) return;
    const card = list.querySelector(`[data-id="${id}"]`);
    const neighbour = card.nextElementSibling ?? card.previousElementSibling;
    const hadFocus = card.contains(document.activeElement);
    card.remove();
    if (isOurs || hadFocus) (neighbour?.querySelector("button") ?? form.elements.q).focus();
    say();
  }

  function keepFilters() {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(filters())) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    history.replaceState(history.state, "", url);
  }

  /** With the models to choose from; the address of the page says what was chosen before a reload. */
  function start(models) {
    form.elements.model.append(...models.map((model) => new Option(model.id, model.id)));
    for (const [name, value] of new URLSearchParams(location.search)) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    return reload();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => event.target.type !== "search" && reload());
  form.elements.q.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(reload, TYPING_MS);
  });
  more.addEventListener("click", () => load());
  new IntersectionObserver(([entry]) => entry.isIntersecting && !loading && !more.hidden && lastId && load(), { rootMargin: "400px" })
    .observe(more);

  return { start, reload, add, remove, catchUp };
}

const isInView = (node) => node.getBoundingClientRect().top < innerHeight + 400;
