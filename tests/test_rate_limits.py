"""Rate limits in memory, as with the embedded server, and in MongoDB."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from services.database_errors import DatabaseUnavailable
from services.errors import TooManyRequests
from services.mongo import free_port
from services.rate_limits import Allowance, RateLimits, open_rate_limits, parse_rate_limit
from tests.waiting import eventually


@pytest.fixture
def uri(request: pytest.FixtureRequest, mongo_uri: str) -> str | None:
    """As the service chooses: with the embedded server, none, and memory."""
    return None if request.node.callspec.params["mongo_uri"] == "nx-27017" else mongo_uri


@pytest.fixture
async def three_in_two_seconds(uri: str | None, database_name: str) -> AsyncIterator[RateLimits]:
    async with open_rate_limits("3/2 seconds", uri, database_name) as limits:
        yield limits


async def hit(limits: RateLimits, owner: str) -> Allowance:
    allowance = await limits.hit(owner)
    assert allowance is not None
    return allowance


async def test_an_owner_is_refused_past_the_limit_until_the_window_has_moved(
    three_in_two_seconds: RateLimits,
) -> None:
    limits, started = three_in_two_seconds, time.monotonic()
    answers = [await hit(limits, "a") for _ in range(4)]
    assert [answer.allowed for answer in answers] == [True, True, True, False]
    assert [answer.remaining for answer in answers] == [2, 1, 0, 0]
    assert all(0 < answer.reset_seconds <= 2 for answer in answers)
    with pytest.raises(TooManyRequests) as caught:
        answers[3].require()
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 2
    assert (await hit(limits, "b")).allowed

    async def allowed() -> bool:
        return (await hit(limits, "a")).allowed

    await eventually(allowed)
    assert time.monotonic() - started >= 1.9


async def test_of_fifty_requests_at_once_no_more_than_the_limit_pass(
    uri: str | None, database_name: str
) -> None:
    async with open_rate_limits("10/minute", uri, database_name) as limits:
        answers = await asyncio.gather(*[hit(limits, "a") for _ in range(50)])
    assert sum(answer.allowed for answer in answers) == 10


async def test_processes_on_one_database_count_together(uri: str | None, database_name: str) -> None:
    if uri is None:
        pytest.skip("one process alone uses the embedded server")
    async with (
        open_rate_limits("2/minute", uri, database_name) as one,
        open_rate_limits("2/minute", uri, database_name) as other,
    ):
        answers = [await hit(limits, "a") for limits in (one, other, one)]
    assert [answer.allowed for answer in answers] == [True, True, False]


def test_the_headers() -> None:
    allowance = Allowance(allowed=True, limit=60, window_seconds=60, remaining=59, reset_seconds=7)
    assert allowance.headers == {
        "RateLimit-Policy": '"create";q=60;w=60',
        "RateLimit": '"create";r=59;t=7',
    }


async def test_no_limit_counts_nothing() -> None:
    async with open_rate_limits(" ", None, "x") as limits:
        assert await limits.hit("a") is None


@pytest.mark.parametrize("text", ["sixty", "60", "0/minute", "60/fortnight", "-1/second"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="has to"):
        parse_rate_limit(text)


async def test_a_database_that_is_away_is_said_soon() -> None:
    started = time.monotonic()
    async with open_rate_limits("1/second", f"mongodb://127.0.0.1:{free_port()}", "x") as limits:
        with pytest.raises(DatabaseUnavailable):
            await limits.hit("a")
    assert time.monotonic() - started < 3
