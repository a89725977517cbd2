"""Which clips belong to which records: a folder and a database that have met once know each other again."""

import asyncio
import logging
import secrets
from pathlib import Path

from pymongo.errors import DuplicateKeyError

from models.job import JobStatus
from services.database_errors import reachable
from services.file_store import FileStore
from services.mongo import Database

logger = logging.getLogger(__name__)

_RECORD = "file_store"
_FILE = "store-id"


class StoreBinding:
    """One name, kept beside the clips and in the database.

    A service that is pointed at another database by mistake would else take every clip for an orphan, and one
    that is pointed at another folder every clip for lost.

    Args:
        folder: Where ``files`` keeps the clips.
    """

    def __init__(self, database: Database, files: FileStore, folder: Path) -> None:
        self._database = database
        self._files = files
        self._folder = folder

    async def holds(self) -> bool:
        """Whether the two belong together. Binds them where nothing speaks against it.

        Raises DatabaseUnavailable.
        """
        beside_clips = await asyncio.to_thread(self._read_name)
        in_database = await self._name_in_database()
        if beside_clips is None or in_database is None:
            if not await self._may_bind(beside_clips, in_database):
                return self._tell_apart()
            in_database = await self._name_database(beside_clips or in_database or secrets.token_hex(16))
            beside_clips = await asyncio.to_thread(self._write_name, in_database)
        return beside_clips == in_database or self._tell_apart()

    async def _may_bind(self, beside_clips: str | None, in_database: str | None) -> bool:
        has_files = await asyncio.to_thread(lambda: any(True for _ in self._files.stored()))
        async with reachable():
            completed = {"status": JobStatus.COMPLETED.value, "file_expired": False}
            has_records = await self._database.collection("jobs").find_one(completed, {"_id": 1}) is not None
        if beside_clips is None and in_database is None:
            # Both are new, or both are older than the names.
            return has_files == has_records
        return not has_files and not has_records

    def _tell_apart(self) -> bool:
        logger.error(
            "the clips in %s and the records in %s do not belong together: no leftover is cleared away",
            self._folder,
            self._database.description,
        )
        return False

    async def _name_in_database(self) -> str | None:
        async with reachable():
            record = await self._database.collection("bindings").find_one({"_id": _RECORD})
        return None if record is None else str(record["name"])

    async def _name_database(self, name: str) -> str:
        """The name that it has then: of several at once the first wins."""
        async with reachable():
            try:
                await self._database.collection("bindings").insert_one({"_id": _RECORD, "name": name})
            except DuplicateKeyError:
                return await self._name_in_database() or name
        return name

    def _read_name(self) -> str | None:
        try:
            return (self._folder / _FILE).read_text().strip() or None
        except FileNotFoundError:
            return None

    def _write_name(self, name: str) -> str:
        """The name that is there then: of several at once the first wins."""
        try:
            with (self._folder / _FILE).open("x") as file:
                file.write(name)
        except FileExistsError:
            return self._read_name() or name
        return name
