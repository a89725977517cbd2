"""One signed POST to a receiver that a caller chose, which therefore may not be just anywhere."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2

from models.webhook import Endpoint
from services.public_addresses import AddressPolicy
from services.webhook_signing import signed_headers
from services.webhook_transitions import Outcome, Verdict

_MAX_ADDRESSES = 4
_LOOKUP_THREADS = 16
_USER_AGENT = "text-to-video-webhooks/1"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a host, best first. Raises OSError when there are none."""


class Resolver:
    """The system's resolver, in threads of its own: slow name servers hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="webhook-lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class WebhookSender:
    """Sends events.

    A host is looked up once; every address it has must be permitted, and the connection goes to one of those
    addresses by number, so that a name that changes in between changes nothing. Redirects are not followed,
    proxies from the environment are not used, and nothing of an answer is read but its status.

    Args:
        secrets: Each signs; receivers take any, so that a secret can be replaced.
        timeout_seconds: For the whole attempt.
        tls: Whom to believe; the usual authorities where None.
    """

    def __init__(
        self,
        secrets: Sequence[bytes],
        policy: AddressPolicy,
        *,
        timeout_seconds: float,
        resolve: Resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._secrets = secrets
        self._policy = policy
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve
        self._tls = tls or httpx2.create_ssl_context()

    async def send(self, url: str, event_id: str, body: bytes) -> Outcome:
        """Make one attempt; failing is an outcome, not an error."""
        endpoint = Endpoint.parse(url)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    addresses = await self._resolve(endpoint.host, endpoint.port)
                except (OSError, UnicodeError):
                    return Outcome(Verdict.RETRY, error="the host's name is not found")
                if not all(self._policy.permits(address) for address in addresses):
                    return Outcome(Verdict.STOP, error="the host has an address that is not public")
                headers = signed_headers(event_id, int(time.time()), body, self._secrets)
                return _judged(await self._post(endpoint, addresses[:_MAX_ADDRESSES], headers, body))
        except TimeoutError:
            return Outcome(Verdict.RETRY, error=f"no answer within {self._timeout_seconds:g} seconds")
        except httpx2.TransportError as error:
            return Outcome(Verdict.RETRY, error=_in_words(error))

    async def _post(
        self, endpoint: Endpoint, addresses: Sequence[str], headers: dict[str, str], body: bytes
    ) -> int:
        """The status of the answer from the first address that can be connected to."""
        headers = headers | {
            "Host": endpoint.authority,
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
        }
        unreachable: httpx2.TransportError = httpx2.ConnectError("the host has no address")
        # An address that swallows everything, as IPv6 does on half-made networks, leaves time for the next.
        patience = httpx2.Timeout(None, connect=self._timeout_seconds / (len(addresses) + 1))
        # A client for each attempt: a connection is never shared by hosts that share an address.
        async with httpx2.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=patience
        ) as client:
            for address in addresses:
                try:
                    async with client.stream(
                        "POST",
                        endpoint.url_at(address),
                        content=body,
                        headers=headers,
                        extensions={"sni_hostname": endpoint.host},
                    ) as response:
                        return response.status_code
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                    unreachable = error
        raise unreachable


def _judged(status_code: int) -> Outcome:
    if 200 <= status_code < 300:
        return Outcome(Verdict.DELIVERED, status_code)
    if status_code == 410:
        return Outcome(Verdict.STOP, status_code, "the receiver answered 410 Gone")
    if 300 <= status_code < 400:
        error = f"the receiver answered {status_code}; redirects are not followed"
        return Outcome(Verdict.RETRY, status_code, error)
    return Outcome(Verdict.RETRY, status_code, f"the receiver answered {status_code}")


def _in_words(error: httpx2.TransportError) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the receiver's certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection came about"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return "no connection came about"
    return "the connection broke before an answer"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
