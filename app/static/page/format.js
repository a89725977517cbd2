// Numbers and times in words.

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

export function seconds(value) {
  if (value < 1) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
}

export function ago(time) {
  const passed = (Date.now() - new Date(time)) / 1000;
  for (const [unit, length] of UNITS) {
    if (passed >= length) return relative.format(-Math.floor(passed / length), unit);
  }
  return "just now";
}

export const moment = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export function bytes(count) {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
  return `${(count / 1e6).toFixed(1)} MB`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export const STATUS_WORDS = {
  queued: "Waiting",
  in_progress: "Under way",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** Where a job stands, in words. */
export function standing(job) {
  if (job.cancel_requested && !isFinal(job)) return "Stopping…";
  if (job.status === "queued") {
    const ahead = job.queue_position;
    const place = ahead ? `${plural(ahead, "clip")} ahead` : "Next in line";
    return job.eta_seconds ? `${place}, done in about ${seconds(job.eta_seconds)}` : place;
  }
  if (job.status !== "in_progress") return STATUS_WORDS[job.status];
  const { step, total } = job.progress;
  if (!step) return "Starting…";
  if (step >= total) return "Finishing…";
  const left = job.eta_seconds === null ? "" : `, about ${seconds(job.eta_seconds)} left`;
  return `Step ${step} of ${total}${left}`;
}

export const isFinal = (job) => ["completed", "failed", "cancelled"].includes(job.status);
