"""How often each client has presented a wrong API key of late."""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

_IPV6_PREFIX = 64


class FailedAttempts:
    """Counts within a window that begins at an address's first failure; in this process, in bounded memory.

    Past ``max_addresses`` the one that began longest ago is forgotten. Addresses of one IPv6 /64 count
    together, since a single client may use all of them.

    Args:
        limit: Failures that are answered within a window; every further one is too many.
        window_seconds: Length of the window.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        *,
        limit: int = 20,
        window_seconds: float = 60.0,
        max_addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._window_seconds = window_seconds
        self._max_addresses = max_addresses
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()  # oldest first

    def record(self, address: str) -> float | None:
        """Count one failure. When it is one too many: seconds until the window ends, else None."""
        client, now = _client(address), self._clock()
        began, failures = self._windows.get(client, (now, 0))
        if now >= began + self._window_seconds:
            began, failures = now, 0
        if not failures:
            self._windows.pop(client, None)
            while len(self._windows) >= self._max_addresses:
                self._windows.popitem(last=False)
        self._windows[client] = (began, failures + 1)
        return began + self._window_seconds - now if failures + 1 > self.limit else None

    def __len__(self) -> int:
        return len(self._windows)


def _client(address: str) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, _IPV6_PREFIX), strict=False))
