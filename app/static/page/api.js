// The service's REST API. Errors are ApiError, with what the service said, or Unreachable.

import { tabStorage } from "./storage.js";

const KEY = "t2v.key";
const STREAM_PAUSE_MS = 1500;

export class ApiError extends Error {
  constructor(status, { message, code, param }, retryAfter) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter });
  }
}

export class Unreachable extends Error {}

/** The API key: it survives a reload and is forgotten with the tab. */
export const apiKey = {
  get: () => tabStorage.getItem(KEY) ?? "",
  set: (key) => (key ? tabStorage.setItem(KEY, key) : tabStorage.removeItem(KEY)),
};

export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

async function send(method, path, { query, body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (apiKey.get()) sent.Authorization = `Bearer ${apiKey.get()}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(path, query), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The service does not answer.");
  }
  if (answer.ok) return answer;
  const error = await failure(answer);
  if (error.status === 401) document.dispatchEvent(new CustomEvent("key-refused", { detail: error }));
  throw error;
}

async function failure(answer) {
  const said = await answer.json().catch(() => null);
  const nothing = { message: `The service answered ${answer.status}.`, code: "unknown", param: null };
  return new ApiError(answer.status, said?.error ?? nothing, Number(answer.headers.get("Retry-After")) || null);
}

const json = async (...request) => (await send(...request)).json();

export const pageConfig = () => json("GET", "static/page/config.json");
export const listModels = () => json("GET", "models");
export const listJobs = (query, signal) => json("GET", "jobs", { query, signal });
export const getJob = (id) => json("GET", `jobs/${id}`);
export const createClip = (body) => once(JSON.stringify(body), (headers) => json("POST", "videos", { body, headers }));
export const cancelJob = (id) => json("POST", `jobs/${id}/cancel`);
export const retryJob = (id) => once(`retry ${id}`, (headers) => json("POST", `jobs/${id}/retry`, { headers }));
export const deleteJob = (id) => send("DELETE", `jobs/${id}`);
export const signLink = (id, expiresIn) =>
  json("POST", `videos/${id}/link`, { query: { expires_in: expiresIn } });
export const fetchFile = async (path) => (await send("GET", path)).blob();

const unanswered = new Map();

/** A request that got no answer is sent again under its own key, whenever that is: it makes one job. */
async function once(request, ask) {
  const key = unanswered.get(request) ?? `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  unanswered.set(request, key);
  const job = await ask({ "Idempotency-Key": key });
  unanswered.delete(request);
  return job;
}

/**
 * Events of a job, as [name, data], until it has ended. A broken stream is opened again, which begins with the
 * job as it then stands. `EventSource` cannot send a key, so this reads the stream itself.
 */
export async function* follow(id, signal) {
  while (!signal.aborted) {
    try {
      const answer = await send("GET", `jobs/${id}/events`, { signal });
      for await (const event of parse(answer.body)) {
        yield event;
        if (event[0] === "end") return;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status < 500 && error.status !== 429)) return;
    }
    await new Promise((done) => setTimeout(done, STREAM_PAUSE_MS));
  }
}

async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split("\n").filter((line) => line && !line.startsWith(":")).map((line) => line.split(/: ?(.*)/s)),
      );
      if (fields.event && fields.data) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}
