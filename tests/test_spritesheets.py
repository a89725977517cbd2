"""A clip's frames in one picture."""

import asyncio
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.job import JobStatus
from services.errors import Expired
from services.file_store import FileStore, probe
from services.spritesheets import Grid, Spritesheets, make_spritesheet
from tests.clips import make_clip
from tests.jobs import queued_job
from tests.live_api import live_api

SOME = probe(make_clip())


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "videos", budget_bytes=2**22)


@pytest.mark.parametrize(
    ("num_frames", "width", "height", "grid"),
    [
        (1, 64, 64, Grid(columns=1, rows=1, tiles=1, width=64, height=64)),
        (8, 64, 64, Grid(columns=3, rows=3, tiles=8, width=64, height=64)),
        (16, 256, 256, Grid(columns=4, rows=4, tiles=16, width=192, height=192)),
        (24, 576, 320, Grid(columns=5, rows=5, tiles=24, width=192, height=107)),
        (128, 128, 1024, Grid(columns=8, rows=8, tiles=64, width=24, height=192)),
        (2, 1024, 2, Grid(columns=2, rows=1, tiles=2, width=192, height=1)),
    ],
)
def test_the_grid_is_nearly_square_and_bounded(num_frames: int, width: int, height: int, grid: Grid) -> None:
    video = SOME.model_copy(update={"num_frames": num_frames, "width": width, "height": height})
    assert Grid.of(video) == grid
    shown = grid.frames(num_frames)
    assert sorted(shown.values()) == list(range(grid.tiles))
    assert list(shown) == sorted(shown)
    assert min(shown) == 0
    assert num_frames - 1 - max(shown) < -(-num_frames // grid.tiles)


def test_each_tile_shows_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(make_clip(frames=40))
    with Image.open(BytesIO(make_spritesheet(path, probe(path.read_bytes())))) as image:
        assert (image.format, image.size) == ("WEBP", (7 * 64, 6 * 64))
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for tile in range(40):
        row, column = divmod(tile, 7)
        frame = pixels[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        # The clip's red square is 16 pixels wide and begins at the column of the frame's number.
        assert np.abs(frame[16, tile + 8] - (255, 0, 0)).max() < 60
        outside = tile + 32 if tile < 24 else tile - 8
        assert frame[16, outside].max() < 60
    assert pixels[5 * 64 + 8 :, 5 * 64 + 8 :].max() < 10, "the rest is black"


async def test_it_is_made_once_and_kept(store: FileStore) -> None:
    video = store.publish("video_A", 1, make_clip(), b"")
    job = queued_job(id="video_A", status=JobStatus.COMPLETED, fence=1)
    spritesheets = Spritesheets(store)
    paths = await asyncio.gather(*(spritesheets.path(job, video) for _ in range(5)))
    assert set(paths) == {store.spritesheet_path("video_A", 1)}
    made = paths[0].stat()
    assert (await spritesheets.path(job, video)).stat().st_mtime_ns == made.st_mtime_ns
    assert {file.path.name for file in store.stored()} == {
        "video_A.1.mp4",
        "video_A.1.webp",
        "video_A.1.sheet.webp",
    }
    store.delete("video_A")
    assert not list(store.stored())


async def test_a_clip_that_is_gone_leaves_none(store: FileStore) -> None:
    job = queued_job(id="video_A", status=JobStatus.COMPLETED, fence=1)
    with pytest.raises(Expired):
        await Spritesheets(store).path(job, SOME)
    with pytest.raises(FileNotFoundError):
        store.add_spritesheet("video_A", 1, b"made from a clip that was deleted meanwhile")
    assert store.used_bytes() == 0


async def test_it_is_served_as_the_thumbnail_is(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        job = await api.finished()
        url = job["urls"]["spritesheet"]
        answer = await api.client.get(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert answer.headers["spritesheet"] == "columns=4, rows=4, tiles=16, width=64, height=64"
        head = await api.client.head(url)
        assert head.headers["content-length"] == str(len(answer.content))
        etag = {"if-none-match": answer.headers["etag"]}
        assert (await api.client.get(url, headers=etag)).status_code == 304
        assert (await api.client.get(job["urls"]["thumbnail"], headers=etag)).status_code == 200
        link = (await api.client.post(f"/videos/{job['id']}/link")).json()["url"]
        assert (await api.client.get(f"{url}?{link.partition('?')[2]}")).content == answer.content
        waiting = await api.waiting()
        assert (await api.client.get(waiting["urls"]["spritesheet"])).status_code == 409
        await api.cancel(waiting["id"])
