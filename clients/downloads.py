"""A clip into a file: resumed where it broke off, checked, and there whole or not at all."""

import asyncio
import hashlib
import os
from pathlib import Path

import httpx2

from clients.errors import ApiError, CorruptDownload, ServiceUnreachable
from clients.records import Video
from clients.transport import Patience, Transport


class PartFile:
    """The beginning of a file, beside where the whole is to be. Its name says of which content."""

    def __init__(self, target: Path, sha256: str) -> None:
        if not target.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {target.parent}")
        self._target = target
        self._sha256 = sha256
        self.path = target.with_name(f".{target.name}.{sha256[:16]}.part")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def write(self, offset: int, chunk: bytes) -> None:
        """Put bytes at ``offset``; what was behind it is gone."""
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.seek(offset)
            file.truncate()
            file.write(chunk)

    def publish(self) -> None:
        """Put it in its place; remove it and raise CorruptDownload when it is not what it should be."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        if digest != self._sha256:
            self.path.unlink()
            raise CorruptDownload(f"What came for {self._target} is not the clip that its record names")
        os.replace(self.path, self._target)


async def download(transport: Transport, path: str, video: Video, target: Path) -> None:
    """``path`` of the service into ``target``. What an earlier call left half done is gone on with.

    Raises ApiError, ServiceUnreachable, CorruptDownload and OSError.
    """
    part = PartFile(target, video.sha256)
    patience = Patience(transport.patience)
    while (offset := await asyncio.to_thread(part.size)) != video.size_bytes:
        try:
            await _fetch(transport, path, video, part, offset)
        except httpx2.TransportError as error:
            broken = ServiceUnreachable(f"The connection to {transport.url} broke: {error}")
            if await asyncio.to_thread(part.size) > offset:
                patience = Patience(transport.patience)
            await patience.pause(broken)
    await asyncio.to_thread(part.publish)


async def _fetch(transport: Transport, path: str, video: Video, part: PartFile, offset: int) -> None:
    """The bytes from ``offset`` on, as far as they come."""
    wanted = {"If-Range": f'"{video.sha256}"', "Range": f"bytes={offset}-"} if offset else {}
    try:
        response = await transport.send("GET", path, headers=wanted, stream=True)
    except ApiError as error:
        if error.status == 416:
            await asyncio.to_thread(part.write, 0, b"")
            return
        raise
    try:
        if response.status_code != 206:
            offset = 0
        async for chunk in response.aiter_bytes():
            await asyncio.to_thread(part.write, offset, chunk)
            offset += len(chunk)
    finally:
        await response.aclose()
    if offset != video.size_bytes:
        await asyncio.to_thread(part.path.unlink)
        raise CorruptDownload(f"{offset} bytes came of a clip of {video.size_bytes}")
