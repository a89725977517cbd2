"""One attempt at a time, over real connections to real receivers."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence

import pytest
import trustme

from services.public_addresses import AddressPolicy
from services.webhook_sender import Resolver, WebhookSender
from services.webhook_transitions import Outcome, Verdict
from tests.receiver import KEY, Receiver, receiver

BODY = b'{"type": "video.completed"}'
ALLOWED = AddressPolicy.parse("127.0.0.2")
"""Stands for the public internet: 127.0.0.1 is as forbidden as ever."""


class Names:
    """A resolver whose answers change: the first is given once, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def sender(
    resolve: Names, policy: AddressPolicy = ALLOWED, *, timeout: float = 20, tls: ssl.SSLContext | None = None
) -> WebhookSender:
    return WebhookSender([KEY], policy, timeout_seconds=timeout, resolve=resolve, tls=tls)


async def send(to: WebhookSender, url: str) -> Outcome:
    return await to.send(url, "evt_1", BODY)


@pytest.fixture
def outside() -> Iterator[Receiver]:
    with receiver("127.0.0.2") as running:
        yield running


@pytest.fixture
def inside(outside: Receiver) -> Iterator[Receiver]:
    """On the loopback, at the port where the one outside listens."""
    with receiver("127.0.0.1", outside.port) as running:
        yield running


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_receiver_gets_a_signed_event(outside: Receiver) -> None:
    names = Names(["127.0.0.2"])
    url = f"http://hook.example:{outside.port}/a/b?c=d&e=%20"
    assert await send(sender(names), url) == Outcome(Verdict.DELIVERED, 204)
    (request,) = outside.requests
    assert request.body == BODY
    assert request.path == "/a/b?c=d&e=%20"
    assert request.headers["host"] == f"hook.example:{outside.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "evt_1"
    assert names.asked == [("hook.example", outside.port)]


@pytest.mark.parametrize("status", [200, 201, 202, 299])
async def test_any_2xx_is_a_delivery(outside: Receiver, status: int) -> None:
    outside.answers = [status]
    outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{outside.port}/")
    assert outcome == Outcome(Verdict.DELIVERED, status)


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (302, Verdict.RETRY, "redirects are not followed"),
        (400, Verdict.RETRY, "answered 400"),
        (410, Verdict.STOP, "410 Gone"),
        (429, Verdict.RETRY, "answered 429"),
        (500, Verdict.RETRY, "answered 500"),
    ],
)
async def test_what_is_no_delivery(outside: Receiver, status: int, verdict: Verdict, words: str) -> None:
    outside.answers = [status]
    outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{outside.port}/")
    assert (outcome.verdict, outcome.status_code) == (verdict, status)
    assert words in str(outcome.error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_loopback_is_not_followed(
    outside: Receiver, inside: Receiver, status: int
) -> None:
    outside.answers, outside.location = [status], f"{inside.url}/admin"
    outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{outside.port}/")
    assert (outcome.verdict, outcome.status_code) == (Verdict.RETRY, status)
    assert not inside.requests
    assert not inside.refused


async def test_a_name_that_turns_to_the_loopback_between_look_up_and_connection(
    outside: Receiver, inside: Receiver
) -> None:
    """DNS rebinding: whoever asked the name twice would check the one address and connect to the other."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    to, url = sender(names), f"http://hook.example:{outside.port}/"
    assert (await send(to, url)).verdict is Verdict.DELIVERED
    assert len(names.asked) == 1
    assert len(outside.requests) == 1
    refused = await send(to, url)
    assert refused == Outcome(Verdict.STOP, error="the host has an address that is not public")
    assert not inside.requests
    assert not inside.refused


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["::ffff:127.0.0.2"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::1"],
        ["::127.0.0.1"],
        ["fe80::1%lo"],
        ["fd00::1"],
        ["0.0.0.0"],  # noqa: S104
        ["::"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["224.0.0.1"],
    ],
    ids=str,
)
async def test_every_address_of_a_name_must_be_permitted(
    outside: Receiver, inside: Receiver, addresses: list[str]
) -> None:
    outcome = await send(sender(Names(addresses)), f"http://hook.example:{inside.port}/")
    assert outcome == Outcome(Verdict.STOP, error="the host has an address that is not public")
    assert not inside.requests
    assert not inside.refused
    assert not outside.requests


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::]",
    ],
)
async def test_the_systems_resolver_reads_all_forms_and_none_gets_through(
    inside: Receiver, host: str
) -> None:
    resolver = Resolver()
    to = WebhookSender([KEY], AddressPolicy(), timeout_seconds=20, resolve=resolver)
    outcome = await send(to, f"http://{host}:{inside.port}/")
    resolver.close()
    assert outcome.verdict is Verdict.STOP
    assert not inside.requests
    assert not inside.refused


async def test_private_addresses_where_they_are_allowed(inside: Receiver) -> None:
    resolver = Resolver()
    to = WebhookSender([KEY], AddressPolicy.parse("true"), timeout_seconds=20, resolve=resolver)
    assert (await send(to, f"http://localhost:{inside.port}/")).verdict is Verdict.DELIVERED
    resolver.close()
    assert len(inside.requests) == 1


async def test_the_next_address_where_nobody_listens_at_the_first(outside: Receiver) -> None:
    policy = AddressPolicy.parse("127.0.0.2,127.0.0.3")
    to = sender(Names(["127.0.0.3", "127.0.0.2"]), policy)
    assert (await send(to, f"http://hook.example:{outside.port}/")).verdict is Verdict.DELIVERED


async def test_the_next_address_where_the_first_swallows_everything(outside: Receiver) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.3", outside.port))
        full.listen(0)
        for _ in range(4):  # past its backlog the kernel answers nothing
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        to = sender(Names(["127.0.0.3", "127.0.0.2"]), AddressPolicy.parse("127.0.0.2,127.0.0.3"), timeout=6)
        assert (await send(to, f"http://hook.example:{outside.port}/")).verdict is Verdict.DELIVERED
        to = sender(Names(["127.0.0.3"] * 2), AddressPolicy.parse("127.0.0.3"), timeout=3)
        outcome = await send(to, f"http://hook.example:{outside.port}/")
        assert outcome == Outcome(Verdict.RETRY, error="no connection came about")


async def test_nobody_listens(unused_port: int) -> None:
    outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{unused_port}/")
    assert outcome == Outcome(Verdict.RETRY, error="no connection came about")


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as server:
        return int(server.getsockname()[1])


async def test_a_name_that_is_not_found() -> None:
    async def not_found(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    to = WebhookSender([KEY], ALLOWED, timeout_seconds=20, resolve=not_found)
    assert await send(to, "https://no.such.example/") == Outcome(
        Verdict.RETRY, error="the host's name is not found"
    )


async def test_a_receiver_that_does_not_answer(outside: Receiver) -> None:
    outside.hold.set()
    outcome = await send(sender(Names(["127.0.0.2"]), timeout=0.3), f"http://hook.example:{outside.port}/")
    assert outcome == Outcome(Verdict.RETRY, error="no answer within 0.3 seconds")
    assert len(outside.requests) == 1


async def test_a_look_up_that_does_not_end() -> None:
    async def hang(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    to = WebhookSender([KEY], ALLOWED, timeout_seconds=0.2, resolve=hang)
    assert (await send(to, "https://hook.example/")).error == "no answer within 0.2 seconds"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK"])
async def test_what_does_not_speak_http(answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{port}/")
    assert outcome == Outcome(Verdict.RETRY, error="the connection broke before an answer")


async def test_an_answer_without_end_is_not_read() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{port}/")
    assert outcome == Outcome(Verdict.DELIVERED, 200)
    assert sent < 50_000_000


async def test_tls_is_about_the_name_not_the_address(authority: trustme.CA) -> None:
    with receiver("127.0.0.2", tls=server_tls(authority, "hook.example")) as outside:
        to = sender(Names(["127.0.0.2"]), tls=client_tls(authority))
        assert (await send(to, f"https://hook.example:{outside.port}/")).verdict is Verdict.DELIVERED
        other = await send(to, f"https://other.example:{outside.port}/")
        assert other.verdict is Verdict.RETRY
        assert "certificate is not valid: Hostname mismatch" in str(other.error)
        assert "127.0.0.2" not in str(other.error)
        assert len(outside.requests) == 1


async def test_a_certificate_of_nobody_known(authority: trustme.CA) -> None:
    with receiver("127.0.0.2", tls=server_tls(authority, "hook.example")) as outside:
        outcome = await send(sender(Names(["127.0.0.2"])), f"https://hook.example:{outside.port}/")
        assert outcome.verdict is Verdict.RETRY
        assert "certificate is not valid" in str(outcome.error)
        assert not outside.requests


async def test_http_where_tls_is_asked_for(outside: Receiver) -> None:
    outcome = await send(sender(Names(["127.0.0.2"])), f"https://hook.example:{outside.port}/")
    assert outcome == Outcome(Verdict.RETRY, error="no TLS connection came about")


async def test_proxies_of_the_environment_are_not_used(
    outside: Receiver, inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url)
    outcome = await send(sender(Names(["127.0.0.2"])), f"http://hook.example:{outside.port}/")
    assert outcome.verdict is Verdict.DELIVERED
    assert not inside.requests
