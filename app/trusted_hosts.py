"""Which names the service answers to.

A web page may let its own name point at 127.0.0.1 (DNS rebinding) and would then be of the same origin as a
service on the loopback, which asks nobody for a key. Its requests still carry the page's name in ``Host``.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.error_handlers import envelope


class TrustedHosts:
    """Refuses requests for names that are neither listed nor the loopback's own.

    Args:
        hosts: Names without a port; ``*.example.org`` stands for every name below ``example.org``.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        names = [host.lower().strip("[]") for host in hosts]
        self._names = {"localhost", *(name for name in names if not name.startswith("*."))}
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_trusted(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        refusal = envelope(
            400,
            "invalid_request_error",
            "untrusted_host",
            "The service does not answer to this host name; T2V_TRUSTED_HOSTS lists those it answers to.",
            param="Host",
        )
        await refusal(scope, receive, send)

    def _is_trusted(self, host: str) -> bool:
        name = _without_port(host)
        return name in self._names or _is_loopback(name) or (bool(name) and name.endswith(self._suffixes))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
