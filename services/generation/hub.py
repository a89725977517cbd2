"""What is on the Hugging Face hub, also while that cannot be reached."""

from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub.errors import OfflineModeIsEnabled

NETWORK_ERRORS = (httpx2.TransportError, OfflineModeIsEnabled, ConnectionError, TimeoutError)

T = TypeVar("T")


def fetch(get: Callable[[bool], T], *, local_files_only: bool) -> T:
    """``get(local_files_only)``, and where the network fails what is in the cache.

    diffusers falls back to its cache only for the errors of an older HTTP client.
    """
    try:
        return get(local_files_only)
    except NETWORK_ERRORS:
        if local_files_only:
            raise
        return get(True)
