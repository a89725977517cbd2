"""All of a clip in one picture: its frames in a grid, in order of time, row by row."""

import asyncio
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
from PIL import Image

from models.job import Job
from models.video import Video
from services.errors import Expired, Unavailable
from services.file_store import FileStore, StorageFull

MAX_TILES = 64
MAX_TILE_SIDE = 192
_AT_ONCE = 2
_QUALITY = 80


@dataclass(frozen=True)
class Grid:
    """Where a spritesheet's frames are. ``width`` and ``height`` are those of one tile, in pixels."""

    columns: int
    rows: int
    tiles: int
    width: int
    height: int

    @classmethod
    def of(cls, video: Video) -> "Grid":
        """As square as may be; at most 64 tiles, their longer side at most 192 pixels."""
        tiles = min(video.num_frames, MAX_TILES)
        columns = math.ceil(math.sqrt(tiles))
        scale = min(1.0, MAX_TILE_SIDE / max(video.width, video.height))
        return cls(
            columns=columns,
            rows=math.ceil(tiles / columns),
            tiles=tiles,
            width=max(1, round(video.width * scale)),
            height=max(1, round(video.height * scale)),
        )

    @property
    def header(self) -> str:
        """A dictionary as RFC 9651 writes it."""
        return (
            f"columns={self.columns}, rows={self.rows}, tiles={self.tiles}, "
            f"width={self.width}, height={self.height}"
        )

    def frames(self, num_frames: int) -> dict[int, int]:
        """The frames of a clip that are shown, evenly spread, and the tile of each."""
        return {tile * num_frames // self.tiles: tile for tile in range(self.tiles)}


class Spritesheets:
    """Made from the MP4 when first asked for, then kept beside it; two at once, each in a thread."""

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def path(self, job: Job, video: Video) -> Path:
        """Where the job's spritesheet is. Raises Expired without its clip, Unavailable on a full disk."""
        path = self._files.spritesheet_path(job.id, job.fence)
        if await asyncio.to_thread(path.exists):
            return path
        async with self._room:
            try:
                return await asyncio.to_thread(self._make, job, video)
            except FileNotFoundError:
                raise Expired(
                    "The clip's file is gone; its job's record is kept.", code="video_expired"
                ) from None
            except StorageFull:
                raise Unavailable(
                    "There is no room left to store the spritesheet.",
                    code="storage_full",
                    headers={"Retry-After": "60"},
                ) from None

    def _make(self, job: Job, video: Video) -> Path:
        path = self._files.spritesheet_path(job.id, job.fence)
        if path.exists():  # another request has just made it
            return path
        sheet = make_spritesheet(self._files.video_path(job.id, job.fence), video)
        return self._files.add_spritesheet(job.id, job.fence, sheet)


def make_spritesheet(path: Path, video: Video) -> bytes:
    """WebP of the clip's frames in ``Grid.of(video)``. Raises FileNotFoundError."""
    grid = Grid.of(video)
    tiles = grid.frames(video.num_frames)
    sheet = Image.new("RGB", (grid.columns * grid.width, grid.rows * grid.height))
    # Opened here, so that deleting the clip meanwhile cuts nothing off.
    with path.open("rb") as file, av.open(file, mode="r") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if (tile := tiles.get(number)) is not None:
                image = Image.fromarray(frame.to_ndarray(format="rgb24"))
                row, column = divmod(tile, grid.columns)
                sheet.paste(image.resize((grid.width, grid.height)), (column * grid.width, row * grid.height))
    buffer = BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
