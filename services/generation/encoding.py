"""Frames to an MP4 that every browser plays: H.264, yuv420p, BT.709, index first."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import imageio_ffmpeg

from services.execution.executor import ExecutionFailed
from services.file_store import DISK_FULL
from services.generation.decoding import Frames

_CRF = 17
_TITLE_CHARS = 200
_EXIT_SECONDS = 300
_WRITE_SECONDS = 60
MAX_VIDEO_BYTES = 2**29
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")
_NO_ROOM = "There is no room left to encode the clip."
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class VideoEncoder:
    """An ffmpeg process that is fed frames as they come.

    ``with VideoEncoder(…) as encoder: encoder.write(frames) …; video = encoder.finish()``. Left without
    ``finish``, the process is killed and nothing remains. It also ends with its parent, whose death closes
    its standard input. Equal frames and metadata give equal bytes.

    Args:
        width, height: Pixels; even, as yuv420p demands.
        fps: Frames a second.
        metadata: Written as JSON into the file's ``comment``, its ``prompt`` also as ``title``; or None.
        max_bytes: The largest MP4.
        write_seconds: How long ffmpeg may take for one ``write`` before it is killed.
        scratch_dir: Where the clip lies while it is made; None for the system's folder.

    Raises:
        ExecutionFailed: ``encoding_failed``, or ``storage_full`` where the scratch folder has no room.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fps: int,
        metadata: Mapping[str, Any] | None = None,
        *,
        max_bytes: int = MAX_VIDEO_BYTES,
        write_seconds: float = _WRITE_SECONDS,
        scratch_dir: str | None = None,
    ) -> None:
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise ExecutionFailed("encoding_failed", f"H.264 needs even sizes, got {width}×{height}")
        self._shape = (height, width, 3)
        self._fps = fps
        self._metadata = metadata
        self._max_bytes = max_bytes
        self._write_seconds = write_seconds
        self._scratch_dir = scratch_dir
        self._written = 0
        self._late = False

    def __enter__(self) -> "VideoEncoder":
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="t2v-encode-", dir=self._scratch_dir)
            tags = Path(self._folder.name) / "tags.txt"
            tags.write_text(_ffmetadata(self._metadata or {}), encoding="utf-8", errors="replace")
        except OSError as error:
            if error.errno in DISK_FULL:
                raise ExecutionFailed("storage_full", _NO_ROOM) from error
            raise
        self._output = Path(self._folder.name) / "clip.mp4"
        self._errors = Path(self._folder.name) / "errors.txt"
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            *_options(self._shape, self._fps, tags),
            str(self._output),
        ]
        with self._errors.open("wb") as errors:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - fixed program, arguments are numbers and our paths
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=self._folder.name,
                    # It has no use for the service's credentials.
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                )
            except OSError as error:
                self._folder.cleanup()
                raise ExecutionFailed("encoding_failed", f"ffmpeg does not start: {error}") from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close_input()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, frames: Frames) -> None:
        """Append ``uint8[T, H, W, 3]``."""
        if frames.shape[1:] != self._shape:
            raise ExecutionFailed(
                "encoding_failed", f"expected frames of {self._shape}, got {frames.shape[1:]}"
            )
        watch = threading.Timer(self._write_seconds, self._kill_late)
        watch.start()
        try:
            self._input.write(frames.tobytes())
            self._written += len(frames)
        except BrokenPipeError as error:
            self._wait()
            raise self._failure() from error
        finally:
            watch.cancel()
        self._require_small()

    def finish(self) -> bytes:
        """Close the clip and return the MP4."""
        if not self._written:
            raise ExecutionFailed("encoding_failed", "a clip of no frames")
        self._close_input()
        if self._wait() != 0:
            raise self._failure()
        self._require_small()
        return self._output.read_bytes()

    def _require_small(self) -> None:
        """Looked at after each chunk of frames, so that it is passed by what one chunk takes at most."""
        if self._output.exists() and self._output.stat().st_size > self._max_bytes:
            raise ExecutionFailed("encoding_failed", f"the clip is larger than {self._max_bytes} bytes")

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        return self._process.stdin

    def _close_input(self) -> None:
        try:
            self._input.close()
        except BrokenPipeError:
            # What was left in the buffer has no reader any more; the exit code tells why.
            return

    def _wait(self) -> int:
        try:
            return self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ExecutionFailed(
                "encoding_failed", f"ffmpeg did not end within {_EXIT_SECONDS} s"
            ) from error

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def _failure(self) -> ExecutionFailed:
        if self._late:
            return ExecutionFailed("encoding_failed", f"ffmpeg took no frames for {self._write_seconds:g} s")
        said = self._errors.read_text(errors="replace").strip()[-500:] or "no message"
        # SIGXFSZ: a limit on the size of files.
        no_room = any(os.strerror(number) in said for number in DISK_FULL)
        if no_room or self._process.returncode == -signal.SIGXFSZ:
            return ExecutionFailed("storage_full", _NO_ROOM)
        return ExecutionFailed(
            "encoding_failed", f"ffmpeg ended with code {self._process.returncode}: {said}"
        )


def _options(shape: tuple[int, int, int], fps: int, tags: Path) -> list[str]:
    height, width, _ = shape
    convert = "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int"
    label = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
    return [
        *("-v", "error", "-y"),
        # Each input may come from where it should and from nowhere else.
        *("-protocol_whitelist", "pipe", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"),
        *("-protocol_whitelist", "file", "-f", "ffmetadata", "-i", str(tags)),
        *("-map", "0:v", "-map_metadata", "1"),
        *("-vf", f"{convert},{label}"),
        # One thread and bitexact: the bytes depend on nothing but the frames.
        *("-c:v", "libx264", "-preset", "medium", "-crf", str(_CRF), "-pix_fmt", "yuv420p", "-threads", "1"),
        *("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", "-f", "mp4"),
    ]


def _ffmetadata(metadata: Mapping[str, Any]) -> str:
    """Tags in ffmpeg's own format. Passed as a file: a prompt has no place in the process list."""
    lines = [";FFMETADATA1"]
    if metadata:
        title = _CONTROL.sub(" ", str(metadata.get("prompt", "")))[:_TITLE_CHARS]
        lines += [f"title={_escape(title)}", f"comment={_escape(json.dumps(metadata, ensure_ascii=False))}"]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)
