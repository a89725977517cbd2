"""How long the device has nothing to do between two jobs of a full queue, and what that costs in clips.

    python -m benchmarks.queue_gap [--clips 8] [--rounds 3] [--steps N] [--max-batch N] [--model demo]

Runs the same jobs through the real dispatcher, database, worker and file store in two ways, round by round in
turn, so that a machine whose speed drifts treats both alike:

- one by one: a job is claimed when the one before is stored and recorded;
- ahead: it is claimed when the device is about to be free of the one before.

The worker notes when its device begins and ends with each clip, and how long it spends there on telling
progress and looking for cancellations. In the first gap of a round the dispatcher does not know yet how long
decoding takes, and claims late.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from models.job import Job, JobProgress
from models.video import VideoParams
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.dispatcher import Dispatcher, DispatcherOptions
from services.events import EventHub
from services.execution.local import LocalExecutor
from services.execution.messages import GeneratorConfig
from services.file_store import FileStore
from services.job_store import JobStore, new_job_id, utc_now
from services.mongo import EmbeddedServer, connect

GENERATOR = "benchmarks.timed_generator:TimedGenerator"
LOG = "QUEUE_GAP_LOG"
WAYS = {"one by one": False, "ahead": True}


@dataclass
class Figures:
    """Of one way, over all rounds. Seconds."""

    gaps: list[float] = field(default_factory=list)
    clips: int = 0
    total: float = 0.0
    busy: float = 0.0
    told: float = 0.0

    def row(self, way: str) -> str:
        gaps = [1000 * gap for gap in self.gaps]
        return (
            f"| {way:<10} | {statistics.median(gaps):6.1f} | {max(gaps):6.1f} | "
            f"{60 * self.clips / self.total:14.2f} | {100 * self.busy / self.total:12.1f} | "
            f"{100 * self.told / self.busy:21.3f} |"
        )


class Bench:
    def __init__(
        self, store: JobStore, files: FileStore, executor: LocalExecutor, catalogue: Catalogue, log: Path
    ) -> None:
        self._store = store
        self._files = files
        self._executor = executor
        self._catalogue = catalogue
        self._log = log

    async def run(self, jobs: list[Job], figures: Figures, *, claim_ahead: bool) -> None:
        """One round. All jobs wait when it begins."""
        for job in jobs:
            await self._store.insert(job)
        self._log.write_text("")
        left = {job.id for job in jobs}
        done = asyncio.Event()

        def observe(job: Job) -> None:
            if job.error is not None:
                raise SystemExit(f"a job failed: {job.error.message}")
            left.discard(job.id)
            if not left:
                done.set()

        options = DispatcherOptions("benchmark", claim_ahead=claim_ahead, video_ttl=timedelta(hours=1))
        dispatcher = Dispatcher(
            self._store, self._files, self._executor, EventHub(), self._catalogue, options, observe
        )
        async with dispatcher:
            await done.wait()
            ended = time.monotonic()
        batches = [json.loads(line) for line in self._log.read_text().splitlines()]
        for batch, following in pairwise(batches):
            figures.gaps.append(following["began"] - batch["left"])
        figures.clips += len(jobs)
        figures.total += ended - batches[0]["began"]
        figures.busy += sum(batch["left"] - batch["began"] for batch in batches)
        figures.told += sum(batch["told"] for batch in batches)


def new_jobs(entry: CatalogueEntry, count: int, steps: int | None) -> list[Job]:
    defaults = entry.defaults
    steps = steps or defaults.num_inference_steps
    return [
        Job(
            id=new_job_id(),
            owner="benchmark",
            model=entry.name,
            params=VideoParams(
                prompt="a red circle moving left",
                negative_prompt=defaults.negative_prompt,
                width=defaults.width,
                height=defaults.height,
                num_frames=defaults.num_frames,
                fps=defaults.fps,
                num_inference_steps=steps,
                guidance_scale=defaults.guidance_scale,
                scheduler=defaults.scheduler,
                seed=seed,
            ),
            progress=JobProgress(total=steps),
            created_at=utc_now(),
        )
        for seed in range(count)
    ]


async def measure(arguments: argparse.Namespace) -> dict[str, Figures]:
    catalogue = Catalogue.create(arguments.model)
    entry = catalogue.default_entry
    figures = {way: Figures() for way in WAYS}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ[LOG] = str(folder / "log")
        server = await stack.enter_async_context(EmbeddedServer(folder / "mongo"))
        store = JobStore(await stack.enter_async_context(connect(server.uri, "benchmark")))
        await store.create_indexes()
        config = GeneratorConfig(device=arguments.device, max_batch=arguments.max_batch)
        executor = await stack.enter_async_context(LocalExecutor(GENERATOR, config))
        await executor.load(entry)
        bench = Bench(store, FileStore(folder / "videos", 10**10), executor, catalogue, folder / "log")
        # Everything has been in use once before it counts.
        await bench.run(new_jobs(entry, 1, arguments.steps), Figures(), claim_ahead=True)
        for number in range(arguments.rounds):
            for way in list(WAYS) if number % 2 else reversed(WAYS):
                jobs = new_jobs(entry, arguments.clips, arguments.steps)
                await bench.run(jobs, figures[way], claim_ahead=WAYS[way])
    return figures


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=8, help="jobs in the queue of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each way")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's default without")
    parser.add_argument("--max-batch", type=int, help="clips made at once; what suits the device without")
    parser.add_argument("--model", default="demo", help="a name from the catalogue, or a folder")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args(given)
    if arguments.clips < 2:
        parser.error("--clips must be at least 2: a gap is between two")
    figures = asyncio.run(measure(arguments))
    print(f"{arguments.model}: {arguments.rounds} rounds of {arguments.clips} clips each way")
    print("| way        | gap ms | at most | clips a minute | device busy % | progress and cancel % |")
    print("|---|---|---|---|---|---|")
    for way, found in figures.items():
        print(found.row(way))


if __name__ == "__main__":
    main()
