// Where clips and pictures are. A <video> cannot send a key: with keys on they get signed links instead.

import { address, ApiError, fetchFile, signLink } from "./api.js";

const LINK_SECONDS = 3600;
const SHARED_LINK_SECONDS = 7 * 24 * 3600;

let keysOn = false;
let maySign = true;
const links = new Map();
const blobs = new Map();

export function useKeys(on) {
  keysOn = on;
}

export const clipAddress = (id) => resolve(id, `videos/${id}`);
export const pictureAddress = (id) => resolve(id, `videos/${id}/thumbnail`);

/** A link for others, and in words how long it lasts. */
export async function sharedLink(id) {
  if (!keysOn) return [address(`videos/${id}`).href, ""];
  return [withSignature(`videos/${id}`, await signLink(id, SHARED_LINK_SECONDS)), "It opens without a key for 7 days."];
}

/** Saves the clip as a file. */
export async function download(id) {
  const url = new URL(await clipAddress(id));
  if (url.protocol !== "blob:") url.searchParams.set("download", "1");
  const anchor = document.createElement("a");
  anchor.href = url.href;
  anchor.download = `${id}.mp4`;
  anchor.click();
}

async function resolve(id, path) {
  if (!keysOn) return address(path).href;
  if (maySign) {
    try {
      return withSignature(path, await signed(id));
    } catch (error) {
      // A key that may only look cannot make links: it fetches the whole file instead.
      if (!(error instanceof ApiError) || error.code !== "missing_scope") throw error;
      maySign = false;
    }
  }
  if (!blobs.has(path)) blobs.set(path, URL.createObjectURL(await fetchFile(path)));
  return blobs.get(path);
}

async function signed(id) {
  const known = links.get(id);
  if (known && known.until > Date.now()) return known.link;
  const link = await signLink(id, LINK_SECONDS);
  links.set(id, { link, until: Date.now() + (LINK_SECONDS - 300) * 1000 });
  return link;
}

/** The signature alone is taken: behind a proxy the service may not know the address that we know it by. */
function withSignature(path, link) {
  const url = address(path);
  url.search = new URL(link.url).search;
  return url.href;
}
