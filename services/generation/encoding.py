"""Frames to an MP4 that every browser plays: H.264, yuv420p, BT.709, index first."""

import json
import os
import re
import struct
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from services.execution.executor import ExecutionFailed
from services.generation.decoding import Frames

_PROGRAM = Path(__file__).with_name("encoder_process.py")
_COUNT = struct.Struct("<q")
_TITLE_CHARS = 200
_EXIT_SECONDS = 300
_WRITE_SECONDS = 60
_PIPE_BYTES = 2**20
MAX_VIDEO_BYTES = 2**29
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class EncoderPool:
    """Encoder processes that have nothing to do, kept for the next clip: one takes 0.2 s to start.

    A process apart, because frames that make x264 hang or crash must not take the model with them.
    """

    def __init__(self) -> None:
        self._idle: deque[subprocess.Popen[bytes]] = deque()
        weakref.finalize(self, _end_all, self._idle)

    def warm(self) -> None:
        """See to it that one waits; does not wait for it to be ready. Raises ExecutionFailed."""
        self.give_back(self.take())

    def take(self) -> "subprocess.Popen[bytes]":
        """One that lives, started if there is none. Raises ExecutionFailed where it does not start."""
        while True:
            try:
                process = self._idle.pop()
            except IndexError:  # several clips may be encoded at once: asked first, another would take it
                return _start()
            if process.poll() is None:
                return process
            _end(process)

    def give_back(self, process: "subprocess.Popen[bytes]") -> None:
        """Only a process that has ended its clip may make another."""
        self._idle.append(process)


class VideoEncoder:
    """An encoder process that is fed frames as they come.

    ``with VideoEncoder(…) as encoder: encoder.write(frames) …; video = encoder.finish()``. Left without
    ``finish``, the process is killed and nothing remains. It also ends with its parent, whose death closes
    its standard input. Equal frames and metadata give equal bytes.

    Args:
        width, height: Pixels; even, as yuv420p demands.
        fps: Frames a second.
        metadata: Written as JSON into the file's ``comment``, its ``prompt`` also as ``title``; or None.
        pool: Where the process comes from and goes back to; None for one of its own.
        max_bytes: The largest MP4.
        write_seconds: How long the process may take for one ``write`` before it is killed.

    Raises:
        ExecutionFailed: ``encoding_failed``.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fps: int,
        metadata: Mapping[str, Any] | None = None,
        *,
        pool: EncoderPool | None = None,
        max_bytes: int = MAX_VIDEO_BYTES,
        write_seconds: float = _WRITE_SECONDS,
    ) -> None:
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise ExecutionFailed("encoding_failed", f"H.264 needs even sizes, got {width}×{height}")
        self._shape = (height, width, 3)
        self._clip = {"width": width, "height": height, "fps": fps, "max_bytes": max_bytes} | _tags(metadata)
        self._pool = pool
        self._write_seconds = write_seconds
        self._written = 0
        self._is_done = False
        self._late: str | None = None

    def __enter__(self) -> "VideoEncoder":
        self._process = _start() if self._pool is None else self._pool.take()
        with self._failing_within(self._write_seconds, "did not start a clip"):
            self._send(json.dumps(self._clip).encode() + b"\n")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_done and self._pool is not None:
            self._pool.give_back(self._process)
        else:
            _end(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, frames: Frames) -> None:
        """Append ``uint8[T, H, W, 3]``."""
        if frames.shape[1:] != self._shape:
            raise ExecutionFailed(
                "encoding_failed", f"expected frames of {self._shape}, got {frames.shape[1:]}"
            )
        if not len(frames):
            return
        with self._failing_within(self._write_seconds, "took no frames"):
            self._send(_COUNT.pack(len(frames)))
            self._send(np.ascontiguousarray(frames).data.cast("B"))
        self._written += len(frames)

    def finish(self) -> bytes:
        """Close the clip and return the MP4."""
        if not self._written:
            raise ExecutionFailed("encoding_failed", "a clip of no frames")
        with self._failing_within(_EXIT_SECONDS, "did not end the clip"):
            self._send(_COUNT.pack(0))
            video = self._receive()
        self._is_done = True
        return video

    def _send(self, data: "bytes | memoryview[int]") -> None:
        self._input.write(data)
        self._input.flush()

    def _receive(self) -> bytes:
        """The process's answer. Raises EOFError where there is none, ExecutionFailed for a failure."""
        head = self._output.read(_COUNT.size)
        size = _COUNT.unpack(head)[0] if len(head) == _COUNT.size else 0
        data = self._output.read(abs(size))
        if not size or len(data) != abs(size):
            raise EOFError
        if size < 0:
            raise ExecutionFailed("encoding_failed", data.decode())
        return data

    @contextmanager
    def _failing_within(self, seconds: float, what: str) -> Iterator[None]:
        """Turns the process's end, by itself or for being late, into the reason of the failure."""
        watch = threading.Timer(seconds, self._kill_late, [f"{what} for {seconds:g} s"])
        watch.start()
        try:
            yield
        except (BrokenPipeError, EOFError) as error:
            raise self._failure() from error
        finally:
            watch.cancel()

    def _kill_late(self, what: str) -> None:
        self._late = what
        self._process.kill()

    def _failure(self) -> ExecutionFailed:
        if self._late is None:
            try:
                self._receive()
            except ExecutionFailed as failure:
                return failure
            except EOFError:
                self._process.wait()
        else:
            self._process.wait()
        what = self._late or f"ended with code {self._process.returncode}"
        return ExecutionFailed("encoding_failed", f"the encoder {what}")

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        return self._process.stdout


def _start() -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE_BYTES,
            # It has no use for the service's credentials.
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except OSError as error:
        raise ExecutionFailed("encoding_failed", f"the encoder does not start: {error}") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with _unread():
                pipe.close()


@contextmanager
def _unread() -> Iterator[None]:
    """What was left in a pipe's buffer has no reader any more."""
    try:
        yield
    except BrokenPipeError:
        return


def _end_all(processes: "deque[subprocess.Popen[bytes]]") -> None:
    while processes:
        _end(processes.pop())


def _tags(metadata: Mapping[str, Any] | None) -> dict[str, str | None]:
    if not metadata:
        return {"title": None, "comment": None}
    title = _CONTROL.sub(" ", str(metadata.get("prompt", "")))[:_TITLE_CHARS]
    return {"title": title, "comment": json.dumps(metadata, ensure_ascii=False)}
