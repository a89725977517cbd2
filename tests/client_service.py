"""One service with the demo checkpoint and an API key, for all the clients that make a clip there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from authentication import create_key
from clients import Client
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


@contextmanager
def client_service() -> Iterator[ClientService]:
    key, entry = create_key("alice")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder) / "data", {"T2V_API_KEYS": entry}) as service,
    ):
        service.client.headers["authorization"] = f"Bearer {key}"
        yield ClientService(service, key)
