"""Keys in the database: made, recognised, listed, revoked; on both servers."""

import asyncio
from datetime import timedelta

import pytest
from ulid import ULID

from models.api_key import ApiKey, ApiKeyCreate, Scope
from services.api_key_store import ApiKeyStore
from services.api_keys import ApiKeyService, digest_of
from services.errors import Conflict, NotFound, Unauthenticated
from services.job_store import utc_now
from services.mongo import Database


@pytest.fixture
def store(database: Database) -> ApiKeyStore:
    return ApiKeyStore(database)


@pytest.fixture
def keys(store: ApiKeyStore) -> ApiKeyService:
    return ApiKeyService(store, enabled=True)


async def refusal(keys: ApiKeyService, key: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await keys.recognise(key)
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}
    return caught.value.code


async def test_a_key_is_recognised_and_not_kept(keys: ApiKeyService, database: Database) -> None:
    request = ApiKeyCreate(name="laptop", owner="alice", scopes=["read", "create", "read"], expires_in=60)
    record, key = await keys.create(request, "root")
    assert key.startswith("t2v_")
    assert len(key.rpartition("_")[0]) < len(key) == 4 + 26 + 1 + 43
    assert await keys.recognise(key) == record
    assert (record.name, record.owner, record.created_by) == ("laptop", "alice", "root")
    assert record.scopes == [Scope.CREATE, Scope.READ]
    assert record.expires_at == record.created_at + timedelta(seconds=60)
    document = await database.collection("api_keys").find_one({"_id": record.id})
    assert document is not None
    assert document["digest"] == digest_of(key)
    assert key[31:] not in str(document)


async def test_what_is_no_key(keys: ApiKeyService) -> None:
    record, key = await keys.create(ApiKeyCreate(name="a", owner="alice"), "root")
    _, other = await keys.create(ApiKeyCreate(name="b", owner="alice"), "root")
    for wrong in (
        *("", "t2v_", "é", key.lower(), key[:-1], key + "a", f" {key}", f"{key}\n", record.id, record.digest),
        key[:31] + other[31:],  # the one's id with the other's secret
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        "t2v_" + "0" * 26 + key[30:],
    ):
        assert await refusal(keys, wrong) == "invalid_api_key", wrong


async def test_a_key_ends_at_its_time(keys: ApiKeyService, store: ApiKeyStore) -> None:
    number, now = ULID(), utc_now()
    key = f"t2v_{number}_{'s' * 43}"
    record = ApiKey(
        id=f"key_{number}",
        name="a",
        owner="alice",
        scopes=[Scope.READ],
        digest=digest_of(key),
        created_at=now,
        created_by="root",
        expires_at=now,
    )
    assert not record.is_expired(now - timedelta(milliseconds=1))
    assert None not in record.to_document().values(), "the embedded server matches null loosely"
    await store.insert(record)
    assert await store.get(record.id) == record
    assert await refusal(keys, key) == "api_key_expired"


async def test_a_revoked_key_opens_nothing_from_then_on(
    keys: ApiKeyService, store: ApiKeyStore, database: Database
) -> None:
    record, key = await keys.create(ApiKeyCreate(name="a", owner="alice"), "root")
    elsewhere = ApiKeyService(ApiKeyStore(database), enabled=True)
    assert await elsewhere.recognise(key) == record
    await keys.revoke(record.id, "root")
    assert await refusal(elsewhere, key) == await refusal(keys, key) == "api_key_revoked"
    revoked = await store.get(record.id)
    assert revoked is not None
    assert revoked.revoked_at is not None
    await keys.revoke(record.id, "root")
    assert await store.get(record.id) == revoked, "the time of the first revocation stays"
    for unknown in ("key_" + "0" * 26, "", "\0", "$ne"):
        with pytest.raises(NotFound):
            await keys.revoke(unknown, "root")


async def test_revoking_at_once_from_everywhere(keys: ApiKeyService, store: ApiKeyStore) -> None:
    record, key = await keys.create(ApiKeyCreate(name="a", owner="alice"), "root")
    await asyncio.gather(*(keys.revoke(record.id, "root") for _ in range(20)))
    assert await refusal(keys, key) == "api_key_revoked"
    assert len(await store.list(limit=10)) == 1


async def test_pages_are_newest_first(keys: ApiKeyService) -> None:
    ids = [(await keys.create(ApiKeyCreate(name=str(n), owner="alice"), "root"))[0].id for n in range(5)]
    assert ids == sorted(ids)
    seen: list[str] = []
    has_more = True
    while has_more:
        page, has_more = await keys.page(limit=2, after=seen[-1] if seen else None)
        seen += [key.id for key in page]
    assert seen == ids[::-1]


async def test_while_keys_are_off_nobody_plants_one(store: ApiKeyStore) -> None:
    off = ApiKeyService(store, enabled=False)
    for attempt in (
        off.create(ApiKeyCreate(name="a", owner="alice"), "local"),
        off.page(limit=1, after=None),
        off.revoke("key_x", "local"),
    ):
        with pytest.raises(Conflict, match="T2V_API_KEYS"):
            await attempt
    assert await store.list(limit=1) == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a b", "owner": "alice"},
        {"name": "", "owner": "alice"},
        {"name": "a" * 65, "owner": "alice"},
        {"name": "a", "owner": "alice\n"},
        {"name": "a", "owner": "alice", "scopes": []},
        {"name": "a", "owner": "alice", "scopes": ["root"]},
        {"name": "a", "owner": "alice", "scopes": ["read"] * 4},
        {"name": "a", "owner": "alice", "expires_in": 0},
        {"name": "a", "owner": "alice", "expires_in": 10**10},
        {"name": "a", "owner": "alice", "digest": "0"},
    ],
)
def test_a_request_that_does_not_fit(body: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ApiKeyCreate.model_validate(body)
