"""One request, tried again as long as that is safe and worth it."""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from clients.errors import (
    ApiError,
    ClientClosed,
    ClientError,
    ServiceUnreachable,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    error_of,
)

DEFAULT_URL = "http://127.0.0.1:8000"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0

A = TypeVar("A", bound=BaseModel)


class Patience:
    """Time to spend on trying again: every pause about twice the one before, or as the service asks."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._tries = 0

    async def pause(self, error: ClientError) -> None:
        """Wait before another try. Raises ``error`` when the time would be over by then."""
        seconds = min(_FIRST_PAUSE * 2**self._tries, _LONGEST_PAUSE) * random.uniform(0.75, 1.25)
        self._tries += 1
        if isinstance(error, ApiError) and error.retry_after is not None:
            seconds = error.retry_after
        if time.monotonic() + seconds > self._deadline:
            raise error
        await asyncio.sleep(seconds)


class Transport:
    """HTTP to one service with one key.

    Raises ValueError for an address or a key that cannot be one.
    """

    def __init__(self, url: str | None, api_key: str | None, *, timeout: float, patience: float) -> None:
        self.url = url or os.environ.get("T2V_URL") or DEFAULT_URL
        self.patience = patience
        key = api_key or os.environ.get("T2V_API_KEY")
        headers = {"User-Agent": "text-to-video-client"}
        if key:
            if not (key.isascii() and key.isprintable()):
                raise ValueError("api_key: has to be printable ASCII")
            headers["Authorization"] = f"Bearer {key}"
        try:
            address = httpx2.URL(self.url)
        except httpx2.InvalidURL as error:
            raise ValueError(f"url: {self.url!r} is no address: {error}") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"url: {self.url!r} is no address such as {DEFAULT_URL}")
        self._timeout = timeout
        self._http = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=timeout)
        self._has_answered = False

    async def close(self) -> None:
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        silence: float | None = None,
        patience: float | None = None,
    ) -> httpx2.Response:
        """An answer with a status of success. One that is streamed is the caller's to close; it may be silent
        for ``silence`` seconds.

        429, 502 to 504 and broken connections are tried again for ``patience`` seconds, so all that is sent
        has to be safe to repeat. A service that never answered yet is not waited for.

        Raises ApiError and ServiceUnreachable.
        """
        timeout = self._timeout if silence is None else httpx2.Timeout(self._timeout, read=silence)
        left = Patience(self.patience if patience is None else patience)
        while True:
            request = self._http.build_request(
                method, path, params=params, json=json, headers=headers, timeout=timeout
            )
            try:
                return await self._send(request, stream)
            except ClientError as error:
                if not self._is_worth_repeating(error):
                    raise
                await left.pause(error)

    async def _send(self, request: httpx2.Request, stream: bool) -> httpx2.Response:
        if self._http.is_closed:
            raise ClientClosed("The client is closed")
        try:
            response = await self._http.send(request, stream=stream)
            self._has_answered = True
            if response.is_success:
                return response
            await response.aread()
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise ServiceUnreachable(f"No answer from {self.url}: {reason}") from error
        raise error_of(response)

    def _is_worth_repeating(self, error: ClientError) -> bool:
        if isinstance(error, TooManyRequests):
            # A wrong key does not become right.
            return error.code != "too_many_failed_attempts"
        if isinstance(error, ServiceUnreachable):
            return self._has_answered
        return isinstance(error, Unavailable)


def parsed(kind: type[A], body: bytes | str) -> A:
    """An answer's JSON. Raises UnexpectedAnswer."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise UnexpectedAnswer(
            f"This is no answer of the service ({place}: {first['msg']}); is its address right?"
        ) from None
