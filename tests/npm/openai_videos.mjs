// OpenAI's npm package, unmodified: node openai_videos.mjs BASE_URL OUT.mp4. Prints what it saw, as JSON.
import { writeFile } from "node:fs/promises";
import OpenAI from "openai";

const [baseURL, out] = process.argv.slice(2);
let asked = 0;
const counted = (...request) => {
  asked += 1;
  return fetch(...request);
};
const client = new OpenAI({ baseURL, apiKey: "none", fetch: counted });

async function poll(id) {
  for (;;) {
    const { data, response } = await client.videos.retrieve(id).withResponse();
    if (data.status === "completed" || data.status === "failed") return data;
    const milliseconds = Number(response.headers.get("openai-poll-after-ms"));
    await new Promise((done) => setTimeout(done, milliseconds));
  }
}

async function refused(call) {
  asked = 0;
  try {
    await call();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    return { name: error.constructor.name, code: error.code, param: error.param, asked };
  }
  throw new Error("this call was to be refused");
}

const created = await client.videos.create({
  prompt: "a red circle moving left",
  seconds: "2",
  size: "128x128",
  seed: 7,
  num_inference_steps: 2,
  metadata: { take: "1" },
});
const video = await poll(created.id);
const content = await client.videos.downloadContent(video.id);
await writeFile(out, Buffer.from(await content.arrayBuffer()));
const spritesheet = await client.videos.downloadContent(video.id, { variant: "spritesheet" });
const remix = await poll((await client.videos.remix(video.id, { prompt: "a blue circle moving left" })).id);
const listed = [];
for await (const each of client.videos.list({ limit: 1, order: "asc" })) listed.push(each.id);
const image = new File([new Uint8Array(3_000_000)], "photo.png", { type: "image/png" });
const refusals = {
  missing: await refused(() => client.videos.retrieve("video_none")),
  image: await refused(() => client.videos.create({ prompt: "x", input_reference: image })),
  image_url: await refused(() =>
    client.videos.create({ prompt: "x", input_reference: { image_url: "https://example.org/a.png" } }),
  ),
  size: await refused(() => client.videos.create({ prompt: "x", size: "720x1280" })),
};
const deleted = await client.videos.delete(remix.id);
console.log(JSON.stringify({ video, spritesheet: spritesheet.headers.get("spritesheet"), remix, listed, refusals, deleted }));
