"""MP4s and their pictures on disk, by job and fence. Nothing half-written is ever under its final name."""

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import av

from models.video import Video

_NAME = re.compile(r"^(?P<job_id>[A-Za-z0-9_]+)\.(?P<fence>\d+)\.(?P<kind>mp4|webp|sheet\.webp)$")
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StorageFull(Exception):
    """The disk, a quota or the store's own budget has no room for the clip."""


class InvalidVideo(Exception):
    """The bytes are not an MP4 that a browser plays from its beginning."""


class StoredFile(NamedTuple):
    """A file that lies in the store; ``modified`` in seconds since the epoch."""

    job_id: str
    fence: int
    modified: float
    path: Path


class FileStore:
    """A folder of ``<job id>.<fence>.mp4``, ``.webp`` and ``.sheet.webp``.

    All methods block: call them in a thread.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def video_path(self, job_id: str, fence: int) -> Path:
        return self._path(job_id, fence, "mp4")

    def thumbnail_path(self, job_id: str, fence: int) -> Path:
        return self._path(job_id, fence, "webp")

    def spritesheet_path(self, job_id: str, fence: int) -> Path:
        return self._path(job_id, fence, "sheet.webp")

    def publish(self, job_id: str, fence: int, video: bytes, thumbnail: bytes) -> Video:
        """Store a clip durably and return its facts.

        Raises:
            InvalidVideo: the probe refuses the bytes; nothing is stored.
            StorageFull: there is no room; nothing is stored.
        """
        if len(video) + len(thumbnail) > self._budget_bytes:
            raise StorageFull(
                f"the clip of {len(video)} bytes is larger than the budget of {self._budget_bytes}"
            )
        facts = probe(video)
        try:
            # The clip goes last: once it is visible, everything is.
            self._write(self.thumbnail_path(job_id, fence), thumbnail)
            self._write(self.video_path(job_id, fence), video)
            _fsync_folder(self._folder)
        except OSError as error:
            self.delete(job_id, fence)
            if error.errno in DISK_FULL:
                raise StorageFull("no space is left for the clip") from error
            raise
        return facts

    def add_spritesheet(self, job_id: str, fence: int, spritesheet: bytes) -> Path:
        """Store what was made from a clip, and return where.

        Raises:
            FileNotFoundError: the clip is gone; nothing is stored.
            StorageFull: there is no room; nothing is stored.
        """
        path = self.spritesheet_path(job_id, fence)
        try:
            self._write(path, spritesheet)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise StorageFull("no space is left for the spritesheet") from error
            raise
        if not self.video_path(job_id, fence).exists():
            path.unlink(missing_ok=True)
            raise FileNotFoundError(f"the clip of {job_id} is gone")
        return path

    def delete(self, job_id: str, fence: int | None = None) -> None:
        """Delete a clip and its pictures, or all of a job's if ``fence`` is None. Missing files are fine."""
        fences = (
            [fence] if fence is not None else [file.fence for file in self.stored() if file.job_id == job_id]
        )
        for number in fences:
            self.video_path(job_id, number).unlink(missing_ok=True)
            self.thumbnail_path(job_id, number).unlink(missing_ok=True)
            self.spritesheet_path(job_id, number).unlink(missing_ok=True)

    def stored(self) -> Iterator[StoredFile]:
        """What lies in the store, in no order."""
        for entry in self._entries():
            if match := _NAME.match(entry.name):
                try:
                    modified = entry.stat().st_mtime
                except FileNotFoundError:
                    continue
                yield StoredFile(match["job_id"], int(match["fence"]), modified, Path(entry.path))

    def used_bytes(self) -> int:
        """Bytes of all files in the store, unfinished ones included."""
        total = 0
        for entry in self._entries():
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                continue
        return total

    @property
    def budget_bytes(self) -> int:
        return self._budget_bytes

    def sweep_parts(self, older_than_seconds: float) -> int:
        """Delete what crashed writers left behind. Returns how many files went."""
        before = time.time() - older_than_seconds
        swept = 0
        for entry in self._entries():
            try:
                if entry.name.endswith(".part") and entry.stat().st_mtime < before:
                    Path(entry.path).unlink()
                    swept += 1
            except FileNotFoundError:  # renamed by its writer, or swept by another process
                continue
        return swept

    def _path(self, job_id: str, fence: int, kind: str) -> Path:
        name = f"{job_id}.{fence}.{kind}"
        if not _NAME.match(name):
            raise ValueError(f"not a job id: {job_id!r}")
        return self._folder / name

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._folder) as entries:
            yield from entries

    def _write(self, path: Path, data: bytes) -> None:
        # Two processes may make the same spritesheet at once.
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def probe(data: bytes) -> Video:
    """Facts of an MP4. Raises InvalidVideo unless it is H.264 in yuv420p with its index before its frames."""
    _require_faststart(data)
    try:
        # Names in the file that are not UTF-8 are nothing to the frames.
        with av.open(BytesIO(data), mode="r", metadata_errors="replace") as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise InvalidVideo("the video is in a codec that nobody here knows")
            num_frames = sum(1 for packet in container.demux(stream) if packet.size)
            rate = stream.average_rate
    except (av.FFmpegError, IndexError) as error:
        raise InvalidVideo(f"not a video: {error}") from error
    if context.name != "h264" or context.pix_fmt != "yuv420p":
        raise InvalidVideo(f"expected h264 in yuv420p, got {context.name} in {context.pix_fmt}")
    if not num_frames or not rate:
        raise InvalidVideo("the video has no frames")
    return Video(
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=context.width,
        height=context.height,
        fps=float(rate),
        num_frames=num_frames,
        duration_seconds=float(num_frames / rate),
        codec="h264",
    )


def _require_faststart(data: bytes) -> None:
    """Walk the top-level boxes (ISO/IEC 14496-12, section 4.2): ``moov`` must come before ``mdat``, whole."""
    offset, seen = 0, []
    while offset + 8 <= len(data):
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        if size == 1:
            size = int.from_bytes(data[offset + 8 : offset + 16], "big")
        elif size == 0:
            size = len(data) - offset
        if size < 8 or offset + size > len(data):
            raise InvalidVideo("the MP4 is cut off")
        seen.append(kind)
        offset += size
    if b"moov" not in seen or b"mdat" not in seen or seen.index(b"moov") > seen.index(b"mdat"):
        raise InvalidVideo("the MP4 has no index before its frames")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
