"""Two services on one database, restarted in turn under load."""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.chaos.outage import has_status
from tests.chaos.run import SCRIPTED
from tests.chaos.site import Site, open_site

CLIENTS = 4


@dataclass
class Rolling:
    """``refused``: connections refused by the service that was down; the other one answered the same request.

    ``failed``: requests that met anything else than an answer below 400.
    """

    restarts: int = 0
    requests: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0


async def restart_in_turn(folder: Path, server: str, rounds: int) -> Rolling:
    rolling, stop = Rolling(), asyncio.Event()
    async with open_site(folder, server=server, services=2, lease_seconds=5.0, generator=SCRIPTED) as site:
        began = time.monotonic()
        clients = [asyncio.create_task(ask(site, rolling, stop, number)) for number in range(CLIENTS)]
        for service in site.services * rounds:
            status = await service.restart()
            if status:
                rolling.failed.append(f"{service.name} ended with {status}")
            rolling.restarts += 1
            await site.ready()
        stop.set()
        await asyncio.gather(*clients)
        async with httpx2.AsyncClient(base_url=site.urls[0], timeout=10) as http:
            for job_id in rolling.accepted:
                try:
                    rolling.attempts[(await has_status(http, job_id, "completed"))["attempt"]] += 1
                except AssertionError:
                    rolling.lost.append(job_id)
        rolling.seconds = time.monotonic() - began
    return rolling


async def ask(site: Site, rolling: Rolling, stop: asyncio.Event, number: int) -> None:
    """Creates and reads; each request on a connection of its own, at the other service where one refuses."""
    dice = random.Random(number)
    own: list[str] = []
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=20, limits=limits) as http:
        for turn in itertools.count(number):
            if stop.is_set():
                return
            if not own or dice.random() < 0.3:
                method, path, body = "POST", "/videos", {"prompt": "pace 0.05", "num_inference_steps": 3}
            else:
                method, path, body = "GET", f"/jobs/{dice.choice(own)}", None
            answer = await ask_either(http, site, rolling, turn, method, path, body)
            if answer is not None and answer.status_code == 202:
                own.append(answer.json()["id"])
                rolling.accepted.append(own[-1])
            await asyncio.sleep(0.05)


async def ask_either(
    http: httpx2.AsyncClient,
    site: Site,
    rolling: Rolling,
    turn: int,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> httpx2.Response | None:
    rolling.requests += 1
    for url in (site.urls[turn % 2], site.urls[(turn + 1) % 2]):
        try:
            answer = await http.request(method, url + path, json=body)
        except httpx2.ConnectError:
            rolling.refused += 1
            continue
        except httpx2.TransportError as error:
            rolling.failed.append(f"{method} {path}: {error!r}")
            return None
        if answer.status_code >= 400:
            rolling.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer
    rolling.failed.append(f"{method} {path}: refused by both")
    return None
