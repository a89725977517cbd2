"""A job's news as they come: through server-sent events, and by asking where those do not come through."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from clients.errors import ServiceUnreachable, TooManyRequests, Unavailable, UnexpectedAnswer, WaitTimeout
from clients.records import Job, Progress, Update
from clients.transport import Transport, parsed

FIRST_EVENT_SECONDS = 15.0
# The service says something every 15 seconds, if only that it is there.
SILENCE_SECONDS = 45.0
_FIRST_POLL, _LONGEST_POLL = 0.1, 2.0

T = TypeVar("T")


class _NoEvents(Exception):
    """The stream is open and silent: something between holds it back."""


async def follow(transport: Transport, job_id: str, seconds: float | None) -> AsyncGenerator[Update]:
    """The job as it stands, then at every change, until it has ended.

    Raises WaitTimeout after ``seconds``, NotFound when the job is deleted meanwhile, and what
    ``Transport.send`` raises when an outage lasts.
    """
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    async with aclosing(_follow(transport, job_id)) as updates:
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    update = await anext(updates, None)
            except TimeoutError:
                raise WaitTimeout(f"The job {job_id} has not ended within {seconds:g} s") from None
            if update is None:
                return
            yield update


async def _follow(transport: Transport, job_id: str) -> AsyncGenerator[Update]:
    pause, has_events = _FIRST_POLL, True
    while True:
        try:
            if has_events:
                async with aclosing(_events(transport, job_id)) as updates:
                    async for update in updates:
                        pause = _FIRST_POLL
                        yield update
                        if update.job.is_final:
                            return
        except _NoEvents:
            has_events = False
        except (httpx2.TransportError, ServiceUnreachable, TooManyRequests, Unavailable):
            # What is the matter, the next question finds out: it is patient, and this was not.
            pass
        record = await transport.send("GET", f"/jobs/{quote(job_id, safe='')}")
        update = Update(parsed(Job, record.content))
        yield update
        if update.job.is_final:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_POLL)


async def _events(transport: Transport, job_id: str) -> AsyncGenerator[Update]:
    """One event stream until it ends or breaks off."""
    opening = transport.send(
        "GET",
        f"/jobs/{quote(job_id, safe='')}/events",
        headers={"Accept": "text/event-stream"},
        stream=True,
        silence=SILENCE_SECONDS,
        patience=0,
    )
    response = await _within(FIRST_EVENT_SECONDS, opening)
    try:
        events = aiter(httpx2.EventSource(response))
        job: Job | None = None
        while True:
            event = await _within(None if job else FIRST_EVENT_SECONDS, _next(events))
            if event is None:
                return
            preview = None
            if event.event in ("status", "end"):
                job = parsed(Job, event.data)
            if job is None or (event.event == "status" and job.is_final):
                continue
            if event.event == "progress":
                job = _advanced(job, event.data)
            elif event.event == "preview":
                preview = _picture(event.data)
            yield Update(job, preview)
    finally:
        await response.aclose()


async def _next(events: AsyncIterator[httpx2.ServerSentEvent]) -> httpx2.ServerSentEvent | None:
    return await anext(events, None)


async def _within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise _NoEvents from None


def _advanced(job: Job, data: str) -> Job:
    progress = parsed(Progress, data)
    eta = (progress.model_extra or {}).get("eta_seconds")
    return job.model_copy(update={"progress": progress, "eta_seconds": eta})


def _picture(data: str) -> bytes:
    """The bytes of a ``data:`` URL. Raises UnexpectedAnswer."""
    try:
        _, _, encoded = json.loads(data)["image"].partition(",")
        return base64.b64decode(encoded, validate=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnexpectedAnswer("A preview is no picture") from None
