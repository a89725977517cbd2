"""Whether the service's memory stays flat under steady use.

    python -m benchmarks.soak [--minutes 60] [--clients 4]

Clients make clips with the demo model at its smallest, follow them by events, fetch, list, search, cancel and
delete. Every so often prints the resident memory of the service, its worker and its database, and at the end
how much each has grown since a tenth of the time had passed.
"""

import argparse
import asyncio
import json
import os
import random
import time
from collections import Counter
from typing import Any

import httpx2
import psutil

from benchmarks.running_service import running_service

SAMPLES = 20
WARM_SHARE = 0.1
PROMPTS = ("a red circle moving left", "a blue star moving up", "a green square", "a white ring, growing")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    with running_service() as client:
        asyncio.run(soak(str(client.base_url), arguments.minutes * 60, arguments.clients))


async def soak(url: str, seconds: float, clients: int) -> None:
    done: Counter[str] = Counter()
    started = time.monotonic()
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        tasks = [asyncio.create_task(use(client, done)) for _ in range(clients)]
        samples: list[tuple[float, dict[str, float]]] = []
        for number in range(SAMPLES + 1):
            await asyncio.sleep(max(0.0, started + seconds * number / SAMPLES - time.monotonic()))
            if failed := [task for task in tasks if task.done()]:
                await failed[0]
            samples.append((time.monotonic() - started, resident()))
            shown = ", ".join(f"{name} {mebibytes:.0f} MiB" for name, mebibytes in samples[-1][1].items())
            print(f"{samples[-1][0]:7.0f} s: {shown}; {sum(done.values())} requests", flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    print(", ".join(f"{count} × {name}" for name, count in sorted(done.items())))
    warm = next(memory for at, memory in samples if at >= WARM_SHARE * seconds)
    for name, mebibytes in samples[-1][1].items():
        print(f"{name}: {mebibytes - warm[name]:+.1f} MiB since {WARM_SHARE:.0%} of the time")


def resident() -> dict[str, float]:
    """Resident MiB of the service's processes, by what they do."""
    (service,) = (
        child for child in psutil.Process(os.getpid()).children() if child.cmdline()[1:] == ["-m", "app"]
    )
    memory = {"service": service.memory_info().rss / 2**20}
    for child in service.children():
        if any("nx_27017" in word for word in child.cmdline()):
            memory["database"] = child.memory_info().rss / 2**20
        elif child.memory_info().rss > 50 * 2**20:
            memory["worker"] = child.memory_info().rss / 2**20
    return memory


async def use(client: httpx2.AsyncClient, done: Counter[str]) -> None:
    """One client, for ever."""
    dice = random.Random()
    while True:
        body = {
            "prompt": dice.choice(PROMPTS),
            "num_inference_steps": 1,
            "metadata": {"take": str(dice.random())},
        }
        answer = await client.post("/videos", json=body, headers={"idempotency-key": str(dice.random())})
        done["create"] += 1
        answer.raise_for_status()
        job_id = answer.json()["id"]
        if dice.random() < 0.1:
            (await client.post(f"/jobs/{job_id}/cancel")).raise_for_status()
            done["cancel"] += 1
        job = await follow(client, job_id)
        done["follow"] += 1
        if job["status"] == "completed":
            (await client.get(f"/videos/{job_id}")).raise_for_status()
            done["fetch"] += 1
        for query in ("", "?q=star&limit=5", "?status=completed&limit=100"):
            (await client.get(f"/jobs{query}")).raise_for_status()
            done["list"] += 1
        (await client.get("/metrics")).raise_for_status()
        if dice.random() < 0.9:
            (await client.delete(f"/jobs/{job_id}")).raise_for_status()
            done["delete"] += 1


async def follow(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job as its event stream ends it."""
    job: dict[str, Any] = {}
    async with client.stream("GET", f"/jobs/{job_id}/events") as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                job = data if "status" in data else job
    return job


if __name__ == "__main__":
    main()
