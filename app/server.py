"""uvicorn over services that are open already."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from app.connections import Connection
from app.header_limit import MAX_HEADER_BYTES
from app.lifespan import State
from app.listener import take_no_more
from app.settings import listed

SECONDS_TO_FINISH_ANSWERS = 5

_KEEP_ALIVE_SECONDS = 20
"""Longer than clients keep an idle connection, as a rule 5 s, so that none is closed as a request comes."""

_HANDSHAKE_SECONDS = 0.1


class Server(uvicorn.Server):
    """Serves ``app`` until ``should_exit`` is set. Its lifespan and the process's signals are the caller's.

    So an error at start reaches the caller as an exception, and jobs may finish after the last answer.
    """

    def __init__(self, app: FastAPI, state: State) -> None:
        # Without a list uvicorn believes everyone on this machine.
        proxies = listed(state["settings"].trusted_proxies)
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                # Hard: what is smaller than this is refused by HeaderLimit, with an answer that says why.
                h11_max_incomplete_event_size=4 * MAX_HEADER_BYTES,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                timeout_graceful_shutdown=SECONDS_TO_FINISH_ANSWERS,
            )
        )
        self._state = state

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self._state)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            take_no_more(listener)
        # Who has come already is accepted meanwhile; closing the listener would cut him off.
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        await super().shutdown(sockets)

    async def run_on(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        await self._serve([listener])
