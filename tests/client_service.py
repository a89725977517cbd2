"""A service with an API key, for all the clients that make clips there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from authentication import create_key
from clients import Client, Conflict
from tests.running_service import RunningService, running_service


@dataclass(frozen=True)
class ClientService:
    """A running service and the key of its owner ``alice``, who may do everything."""

    service: RunningService
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("T2V_")}
        return kept | {"T2V_URL": self.url, "T2V_API_KEY": self.key}

    def client(self) -> Client:
        return Client(self.url, self.key)

    def cancel_all(self) -> None:
        """Nothing waits or runs afterwards."""
        with self.client() as client:
            unfinished = [*client.list(status="queued"), *client.list(status="in_progress")]
            for job in unfinished:
                with suppress(Conflict):  # It has ended since.
                    client.cancel(job.id)
        for job in unfinished:
            self.service.wait_for(job.id, "completed", "failed", "cancelled")


@contextmanager
def client_service(module: str = "app") -> Iterator[ClientService]:
    key, entry = create_key("alice")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder) / "data", {"T2V_API_KEYS": entry}, module=module) as service,
    ):
        service.client.headers["authorization"] = f"Bearer {key}"
        yield ClientService(service, key)
