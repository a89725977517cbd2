"""Which job an Idempotency-Key was used for: every query of their collection."""

import hashlib
from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError

from services.database_errors import reachable, until_certain
from services.mongo import Database


class IdempotencyKeys:
    """Keys are bound once and forgotten by age. Any operation may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._keys = database.collection("idempotency_keys")

    async def create_indexes(self) -> None:
        async with reachable():
            await self._keys.create_index("created_at")

    async def reserve(self, owner: str, key: str, fingerprint: str, job_id: str) -> tuple[str, str]:
        """Bind the owner's key to a job; of many callers the first wins.

        Returns:
            The job id and the fingerprint of the request that hold the key.
        """
        digest = hashlib.sha256(b"\0".join([owner.encode(), key.encode()])).hexdigest()
        key_id = f"key_{digest}"
        document = {
            "_id": key_id,
            "owner": owner,
            "fingerprint": fingerprint,
            "job_id": job_id,
            "created_at": datetime.now(UTC),
        }

        async def attempt(_in_doubt: bool) -> tuple[str, str]:
            while True:
                try:
                    await self._keys.insert_one(document)
                except DuplicateKeyError:
                    holder = await self._keys.find_one({"_id": key_id})
                    if holder is not None:  # else it was purged in between
                        return holder["job_id"], holder["fingerprint"]
                else:
                    return job_id, fingerprint

        return await until_certain(attempt)

    async def purge(self, created_before: datetime) -> int:
        """Forget old keys; returns how many."""
        async with reachable():
            return int((await self._keys.delete_many({"created_at": {"$lt": created_before}})).deleted_count)
