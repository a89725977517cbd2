"""API keys, the credentials, and what each owner sees."""

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from authentication import (
    LOCAL_OWNER,
    ApiKeys,
    Authenticator,
    Credentials,
    Principal,
    create_key,
    digest_of,
    main,
)
from models.api_key import Scope
from services.api_key_store import ApiKeyStore
from services.api_keys import ApiKeyService
from services.database_errors import DatabaseUnavailable
from services.errors import TooManyRequests, Unauthenticated
from services.failed_attempts import FailedAttempts
from services.mongo import Database, connect
from tests.live_api import LiveApi, live_api

ALICE, ALICE_ENTRY = create_key("alice")
BOB, BOB_ENTRY = create_key("bob")
BOB_NEW, BOB_NEW_ENTRY = create_key("bob")
KEYS = f"{ALICE_ENTRY}, {BOB_ENTRY},{BOB_NEW_ENTRY},"


def test_keys_and_their_owners() -> None:
    keys = ApiKeys.parse(KEYS)
    assert keys.required
    assert [keys.owner_of(key) for key in (ALICE, BOB, BOB_NEW, "t2v_other", "", "é")] == [
        *("alice", "bob", "bob"),
        *(None, None, None),
    ]


def authenticator(database: Database, keys: str) -> Authenticator:
    stored = ApiKeyService(ApiKeyStore(database), enabled=True)
    return Authenticator(ApiKeys.parse(keys), stored, FailedAttempts(limit=2))


async def test_a_key_in_either_header(database: Database) -> None:
    door = authenticator(database, KEYS)
    for authorization, x_api_key, owner in [
        (f"bearer  {ALICE}", None, "alice"),
        (None, BOB, "bob"),
        ("Basic x", BOB, "bob"),
        (f"Bearer {ALICE}", BOB, "alice"),
    ]:
        principal = await door.authenticate(authorization, x_api_key, "127.0.0.1")
        assert principal == Principal(owner, frozenset(Scope), None)


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "code"),
    [
        (None, None, "missing_api_key"),
        ("", "", "missing_api_key"),
        ("Bearer ", None, "missing_api_key"),
        (f"Basic {ALICE}", None, "missing_api_key"),
        ("Bearer nonsense", None, "invalid_api_key"),
        (None, ALICE_ENTRY.partition(":")[2], "invalid_api_key"),
    ],
    ids=["nothing", "empty", "no key", "basic", "nonsense", "its digest"],
)
async def test_no_key_no_entry(
    database: Database, authorization: str | None, x_api_key: str | None, code: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator(database, KEYS).authenticate(authorization, x_api_key, "127.0.0.1")
    assert caught.value.code == code
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


async def test_too_many_wrong_keys_from_one_address(database: Database) -> None:
    door = authenticator(database, KEYS)
    for _ in range(5):
        with pytest.raises(Unauthenticated, match="is needed"):
            await door.authenticate(None, None, "10.0.0.1")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await door.authenticate("Bearer wrong", None, "10.0.0.1")
    with pytest.raises(TooManyRequests) as caught:
        await door.authenticate("Bearer wrong", None, "10.0.0.1")
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
    assert (await door.authenticate(None, ALICE, "10.0.0.1")).owner == "alice", "others share the address"
    with pytest.raises(Unauthenticated):
        await door.authenticate("Bearer wrong", None, "10.0.0.2")


async def test_without_the_database_configured_keys_still_open() -> None:
    async with connect("mongodb://127.0.0.1:1", "nowhere") as database:
        door = authenticator(database, KEYS)
        assert (await door.authenticate(f"Bearer {ALICE}", None, "127.0.0.1")).owner == "alice"
        with pytest.raises(Unauthenticated):
            await door.authenticate("Bearer of no key's form", None, "127.0.0.1")
        with pytest.raises(DatabaseUnavailable):
            await door.authenticate(f"Bearer t2v_{'0' * 26}_{'s' * 43}", None, "127.0.0.1")


async def test_without_keys_everyone_is_local(database: Database) -> None:
    everyone = await authenticator(database, "").authenticate("Bearer anything", None, "127.0.0.1")
    assert everyone == Principal(LOCAL_OWNER)
    for scope in Scope:
        everyone.require(scope)


@pytest.mark.parametrize(
    "text",
    ["alice", "alice:abc", f"a b:{'0' * 64}", f"{ALICE_ENTRY}0", f":{'0' * 64}"],
    ids=["no digest", "short", "space in the name", "long", "no name"],
)
def test_a_spoilt_entry_is_named_by_its_place(text: str) -> None:
    with pytest.raises(ValueError, match="entry 2") as caught:
        ApiKeys.parse(f"{BOB_ENTRY},{text}")
    assert text not in str(caught.value)


def test_the_command_prints_a_key_and_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "carol"]) == 0
    key, entry = (line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines())
    assert key.startswith("t2v_")
    assert len(key) > 40
    assert entry == f"carol:{hashlib.sha256(key.encode()).hexdigest()}" == f"carol:{digest_of(key)}"
    assert ApiKeys.parse(entry).owner_of(key) == "carol"
    assert main(["create", "no spaces"]) == 2
    assert "1 to 64" in capsys.readouterr().err


def test_credentials_come_from_the_environment_or_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MONGO_URI", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert Credentials() == Credentials(auth=None, mongo=None)
    (tmp_path / ".env").write_text("HF_TOKEN=hf_from_file\nMONGO_URI=\nT2V_PORT=1\n")
    credentials = Credentials()
    assert credentials.auth is not None
    assert credentials.auth.get_secret_value() == "hf_from_file"
    assert credentials.mongo is None
    monkeypatch.setenv("MONGO_URI", "mongodb://user:password@host/")
    assert "password" not in repr(Credentials())


pytest_live = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("keys"), api_keys=KEYS) as api:
        api.client.headers["authorization"] = f"Bearer {ALICE}"
        yield api


AS_BOB = {"authorization": f"Bearer {BOB}"}
AS_NOBODY = {"authorization": ""}


@pytest_live
async def test_owners_see_only_their_own_jobs(api: LiveApi) -> None:
    job = await api.finished()
    assert job["owner"] == "alice"
    for method, path in [
        ("GET", "/jobs/{}"),
        ("DELETE", "/jobs/{}"),
        ("POST", "/jobs/{}/cancel"),
        ("POST", "/jobs/{}/retry"),
        ("GET", "/jobs/{}/events"),
        ("GET", "/videos/{}"),
        ("HEAD", "/videos/{}"),
        ("GET", "/videos/{}/thumbnail"),
        ("POST", "/videos/{}/link"),
    ]:
        url = path.format(job["id"])
        assert (await api.client.request(method, url, headers=AS_BOB)).status_code == 404, url
        assert (await api.client.request(method, url, headers=AS_NOBODY)).status_code == 401, url
    for path in ("/jobs", "/videos"):
        assert (await api.client.get(path, headers=AS_BOB)).json()["data"] == []
    assert (await api.job(job["id"]))["status"] == "completed"


@pytest_live
async def test_idempotency_keys_belong_to_their_owner(api: LiveApi) -> None:
    body = {"prompt": "x"}
    ids = {
        (await api.client.post("/videos", json=body, headers={"idempotency-key": "same"} | owner)).json()[
            "id"
        ]
        for owner in ({}, AS_BOB, {"authorization": f"Bearer {BOB_NEW}"})
    }
    assert len(ids) == 2


@pytest_live
async def test_a_signed_link_needs_no_key(api: LiveApi) -> None:
    job = await api.finished("a secret prompt")
    link = (await api.client.post(f"/videos/{job['id']}/link")).json()["url"]
    answer = await api.client.get(link, headers=AS_NOBODY)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    record = await api.client.get(link, headers=AS_NOBODY | {"accept": "application/json"})
    assert record.headers["content-type"] == "video/mp4", "a link shows the clip, never the record"
    assert (
        await api.client.get(f"/jobs/{job['id']}?{link.partition('?')[2]}", headers=AS_NOBODY)
    ).status_code == 401


@pytest_live
async def test_what_is_open_and_what_is_not(api: LiveApi) -> None:
    for path, status in {
        "/health/live": 200,
        "/docs": 200,
        "/openapi.json": 200,
        "/metrics": 401,
        "/models": 401,
        "/jobs": 401,
        "/videos": 401,
    }.items():
        answer = await api.client.get(path, headers=AS_NOBODY)
        assert answer.status_code == status, path
        if status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
    document = (await api.client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"].keys() == {"Bearer", "ApiKey"}


@pytest_live
async def test_the_log_says_who_asked(api: LiveApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = await api.client.post("/keys", json={"name": "laptop", "owner": "carol", "scopes": ["read"]})
    as_carol = {"authorization": f"Bearer {made.json()['key']}"}
    for headers in ({}, as_carol, AS_NOBODY):
        await api.client.get("/models", headers=headers)
    said = [
        (getattr(record, "owner", None), getattr(record, "key", None))
        for record in caplog.records
        if getattr(record, "path", "") == "/models"
    ]
    assert said == [("alice", "configured"), ("carol", made.json()["id"]), (None, None)]
    assert made.json()["key"] not in caplog.text
    assert f"alice made {made.json()['id']} for carol (read)" in caplog.text
