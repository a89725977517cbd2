"""The application on a real port in the test's event loop, with a real database and a real worker process."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
from fastapi import FastAPI

from app.lifespan import State
from app.main import create_app
from app.server import Server
from app.settings import Settings
from authentication import Credentials
from tests.generators import SCRIPTED
from tests.waiting import eventually

OUTSIDE_URI = os.environ.get("MONGO_URI")


@dataclass
class LiveApi:
    """A running service; ``client`` talks to it over TCP."""

    client: httpx2.AsyncClient
    state: State
    folder: Path
    app: FastAPI
    server: Server

    async def create(self, prompt: str = "a red circle", **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/videos", json={"prompt": prompt, **body})
        assert answer.status_code == 202, answer.text
        return cast(dict[str, Any], answer.json())

    async def job(self, job_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    async def until(self, job_id: str, status: str) -> dict[str, Any]:
        """The job, once it has this status."""

        async def there() -> dict[str, Any] | None:
            job = await self.job(job_id)
            return job if job["status"] == status else None

        return cast(dict[str, Any], await eventually(there, 20, f"{job_id} did not become {status}"))

    async def finished(self, prompt: str = "a red circle", **body: Any) -> dict[str, Any]:
        """A completed job."""
        return await self.until((await self.create(prompt, **body))["id"], "completed")

    async def waiting(self) -> dict[str, Any]:
        """A job that runs until it is cancelled."""
        job = await self.create(f"wait {self.folder / 'never'}")
        return await self.until(job["id"], "in_progress")

    async def cancel(self, job_id: str) -> None:
        assert (await self.client.post(f"/jobs/{job_id}/cancel")).status_code == 200
        await self.until(job_id, "cancelled")


@asynccontextmanager
async def live_api(
    folder: Path, *, mongo: str | None = OUTSIDE_URI, generator: str = SCRIPTED, **settings: Any
) -> AsyncIterator[LiveApi]:
    """A service over ``folder`` and the embedded database, or ``$MONGO_URI`` when set.

    ``settings`` are those of ``Settings``. The worker runs ``generator``.
    """
    values = {
        "database": f"test_{secrets.token_hex(8)}",
        "data_dir": folder / "data",
        "model": "demo",
        "device": "cpu",
        "compile": "off",
        "shutdown_grace_seconds": 0,
        **settings,
    }
    app = create_app(
        Settings(_env_file=None, **values),
        Credentials(_env_file=None, auth=None, mongo=mongo),  # type: ignore[call-arg]
        generator,
    )
    # The protocol named: asyncio then sends without waiting for the answers to fill a packet (TCP_NODELAY).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with app.router.lifespan_context(app) as opened:
        state = cast(State, opened)
        server = Server(app, state)
        serving = asyncio.create_task(server.run_on(listener))
        await eventually(lambda: server.started)
        try:
            async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
                yield LiveApi(client, state, folder, app, server)
        finally:
            state["closing"].set()
            server.should_exit = True
            await serving
            if OUTSIDE_URI:
                await state["database"].motor.client.drop_database(state["settings"].database)
