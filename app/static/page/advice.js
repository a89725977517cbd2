// What went wrong, and what to do about it.

import { ApiError, Unreachable } from "./api.js";
import { seconds } from "./format.js";

const FOR_JOBS = {
  out_of_memory: "Choose a smaller size or fewer frames under Advanced, or free memory on the device.",
  model_unavailable: "Choose another model, or ask who runs the service to look at its log.",
  invalid_output: "Try another seed, another scheduler or more steps.",
  worker_lost: "Press Retry: the service has started a new worker.",
  timeout: "Try fewer steps, fewer frames or a smaller size.",
  encoding_failed: "Press Retry; if it fails again, the service's log says why.",
  storage_full: "Delete clips that you no longer need, then press Retry.",
  internal_error: "Press Retry; if it fails again, the service's log says why.",
};

const FOR_REQUESTS = {
  missing_scope: "Use a key with that scope.",
  job_not_found: "It was deleted elsewhere.",
  video_expired: "Make it again with the same parameters.",
  queue_full: "Wait until some are done.",
};

export const forJob = (error) => FOR_JOBS[error.code] ?? "Press Retry.";

/** An error in one or two sentences. */
export function explain(error) {
  if (error instanceof Unreachable) return "The service does not answer. Is it running? Try again in a moment.";
  if (!(error instanceof ApiError)) return `The page failed: ${error.message} Reload it.`;
  const parts = [error.message];
  if (FOR_REQUESTS[error.code]) parts.push(FOR_REQUESTS[error.code]);
  else if (error.retryAfter) parts.push(`Try again in ${seconds(error.retryAfter)}.`);
  else if (error.status >= 500) parts.push("Try again; if it fails again, the service's log says why.");
  return parts.join(" ");
}
