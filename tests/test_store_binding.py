"""Folders and databases that belong together, and those that do not."""

from pathlib import Path

import pytest

from models.job import Timings
from services.file_store import FileStore
from services.janitor import Janitor, JanitorOptions, Swept
from services.job_store import JobStore, utc_now
from services.mongo import Database, connect
from services.store_binding import StoreBinding
from tests.clips import make_clip
from tests.jobs import queued_job

AT_ONCE = JanitorOptions(leftover_seconds=-1)


class Side:
    """A folder of clips with the database it is used with."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store = JobStore(database)
        self.files = FileStore(folder, 10**8)
        self.binding = StoreBinding(database, self.files, folder)
        self.janitor = Janitor(self.store, self.files, AT_ONCE, self.binding)

    async def complete_one(self) -> str:
        await self.store.insert(queued_job())
        job = await self.store.claim("here", 30)
        assert job is not None
        video = self.files.publish(job.id, job.fence, make_clip(), b"thumbnail")
        assert await self.store.complete(job, video=video, timings=Timings(), expires_at=utc_now())
        return job.id


@pytest.fixture
def side(database: Database, tmp_path: Path) -> Side:
    return Side(database, tmp_path / "videos")


async def test_what_is_new_is_bound_and_stays_so(side: Side) -> None:
    assert await side.binding.holds()
    await side.complete_one()
    assert await side.binding.holds()


async def test_what_is_older_than_the_names_is_bound(side: Side) -> None:
    await side.complete_one()
    assert await side.binding.holds()


@pytest.mark.parametrize("bound", [True, False])
async def test_another_database_deletes_no_clip(
    side: Side, mongo_uri: str, tmp_path: Path, bound: bool
) -> None:
    """As after a slip in MONGO_URI or T2V_DATABASE."""
    job_id = await side.complete_one()
    assert not bound or await side.binding.holds()
    async with connect(mongo_uri, "test_another") as another:
        try:
            mistaken = Side(another, tmp_path / "videos")
            assert not await mistaken.binding.holds()
            assert await mistaken.janitor.audit() == Swept()
        finally:
            await another.motor.client.drop_database("test_another")
    assert {file.job_id for file in side.files.stored()} == {job_id}
    assert await side.janitor.audit() == Swept()


@pytest.mark.parametrize("bound", [True, False])
async def test_another_folder_marks_no_clip_as_lost(
    side: Side, database: Database, tmp_path: Path, bound: bool
) -> None:
    """As after a mount that failed: the folder is there, and empty."""
    job_id = await side.complete_one()
    assert not bound or await side.binding.holds()
    mistaken = Side(database, tmp_path / "elsewhere")
    assert not await mistaken.binding.holds()
    assert await mistaken.janitor.audit() == Swept()
    record = await side.store.get(job_id)
    assert record is not None
    assert not record.file_expired


async def test_leftovers_go_where_both_belong_together(side: Side) -> None:
    job_id = await side.complete_one()
    assert await side.binding.holds()
    side.files.publish("video_gone", 1, make_clip(), b"")
    side.files.delete(job_id)
    assert await side.janitor.audit() == Swept(orphans=1, missing=1)
