// Knows the jobs that are queued or under way: whoever made them, whatever page they were made on.

import { ApiError, follow, getJob, listJobs } from "./api.js";
import { isFinal } from "./format.js";

const BUSY_MS = 2000;
const IDLE_MS = 10000;
const LISTED = 20;
/** A browser opens six connections to a service that speaks HTTP/1.1; streams must leave some for all else. */
const STREAMS = 2;

/**
 * Events: "change" when the list or a job in it is another, "ended" with a job that has ended,
 * "failure" with an error, or with null when it is over, "looked" after each look at the service.
 */
export class Tracker extends EventTarget {
  jobs = new Map();
  previews = new Map();
  waitsMore = false;
  #streams = new Map();
  #ended = new Set();
  #timer = 0;
  #failed = false;

  start() {
    document.addEventListener("visibilitychange", () => !document.hidden && this.poll());
    return this.poll();
  }

  /** In the order in which they will be done. */
  get list() {
    return [...this.jobs.values()].sort((a, b) => place(a) - place(b) || (a.id < b.id ? -1 : 1));
  }

  add(job) {
    if (isFinal(job)) return this.#end(job);
    this.jobs.set(job.id, job);
    this.#openStreams();
    this.#tell("change");
    this.#schedule();
  }

  /** Let go of a job, without news of its end. */
  remove(id) {
    this.jobs.delete(id);
    this.previews.delete(id);
    this.#streams.get(id)?.abort();
    this.#streams.delete(id);
    this.#tell("change");
  }

  async poll() {
    clearTimeout(this.#timer);
    try {
      await this.#look();
      if (this.#failed) this.#tell("failure", null);
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      this.#tell("failure", error);
      if (error.status === 401) return;
    }
    this.#schedule();
  }

  async #look() {
    const before = new Set(this.jobs.keys());
    const [running, queued] = await Promise.all([
      listJobs({ status: "in_progress", limit: LISTED }),
      listJobs({ status: "queued", order: "asc", limit: LISTED }),
    ]);
    this.waitsMore = queued.has_more;
    const found = [...running.data, ...queued.data];
    for (const job of found) {
      before.delete(job.id);
      // A list that was read before the end of a job may come after the news of it.
      if (!this.#ended.has(job.id) && !this.#isOlder(job)) this.jobs.set(job.id, job);
    }
    // What is listed no more has ended, or waits beyond the page.
    for (const id of before) await this.#refresh(id);
    this.#openStreams();
    this.#tell("change");
    this.#tell("looked");
  }

  async #refresh(id) {
    try {
      const job = await getJob(id);
      if (isFinal(job)) this.#end(job);
      else if (this.jobs.has(id)) this.jobs.set(id, job);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      this.remove(id);
    }
  }

  #isOlder(job) {
    const known = this.jobs.get(job.id);
    return known && known.fence === job.fence && known.status === job.status && known.progress.step > job.progress.step;
  }

  #openStreams() {
    for (const job of this.list) {
      if (this.#streams.size >= STREAMS) return;
      if (!this.#streams.has(job.id)) this.#follow(job.id);
    }
  }

  async #follow(id) {
    const stream = new AbortController();
    this.#streams.set(id, stream);
    for await (const [name, data] of follow(id, stream.signal)) {
      const job = this.jobs.get(id);
      if (!job) break;
      if (name === "preview") this.previews.set(id, data.image);
      else if (name === "status") this.jobs.set(id, data);
      else if (name === "progress") {
        const { eta_seconds, ...progress } = data;
        this.jobs.set(id, { ...job, status: "in_progress", progress, eta_seconds, queue_position: null });
      } else if (name === "end") this.#end(data);
      this.#tell("change");
    }
    if (this.#streams.get(id) === stream) this.#streams.delete(id);
    if (this.jobs.has(id) && !stream.signal.aborted) this.#schedule();
    this.#openStreams();
  }

  #end(job) {
    if (this.#ended.has(job.id)) return;
    this.#ended.add(job.id);
    const preview = this.previews.get(job.id);
    this.remove(job.id);
    this.#tell("ended", { job, preview });
  }

  #schedule() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#schedule() : this.poll()), this.jobs.size ? BUSY_MS : IDLE_MS);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function place(job) {
  return job.status === "in_progress" ? -1 : job.queue_position ?? Infinity;
}
