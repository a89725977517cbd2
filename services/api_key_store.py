"""The API keys that are kept in the database: every query of their collection."""

from datetime import datetime
from typing import Any

from pymongo import DESCENDING

from models.api_key import ApiKey
from services.database_errors import reachable
from services.mongo import Database

Keys = list[ApiKey]  # the store's own ``list`` hides the builtin


class ApiKeyStore:
    """Keys are inserted, revoked once, and never deleted. Any operation may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._keys = database.collection("api_keys")

    async def insert(self, key: ApiKey) -> None:
        """Store a new key; its id is taken from 80 random bits and is not tried again."""
        async with reachable():
            await self._keys.insert_one(key.to_document())

    async def get(self, key_id: str) -> ApiKey | None:
        async with reachable():
            document = await self._keys.find_one({"_id": key_id})
        return None if document is None else ApiKey.model_validate(document)

    async def list(self, *, limit: int, after: str | None = None) -> Keys:
        """Newest first: ids are in order of time. ``after`` is the last id of the page before."""
        fields: dict[str, Any] = {} if after is None else {"_id": {"$lt": after}}
        async with reachable():
            documents = await self._keys.find(fields).sort("_id", DESCENDING).limit(limit).to_list(limit)
        return [ApiKey.model_validate(document) for document in documents]

    async def revoke(self, key_id: str, now: datetime) -> ApiKey | None:
        """End a key's life; the time of its first revocation stays. None for an unknown id."""
        key = await self.get(key_id)
        if key is None or key.revoked_at is not None:
            return key
        # Nothing else of a key ever changes, so of two revocations at once either may be the last.
        revoked = key.model_copy(update={"revoked_at": now})
        async with reachable():
            await self._keys.replace_one({"_id": key_id}, revoked.to_document())
        return revoked
