"""GET and HEAD of clips and thumbnails over a real connection."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.live_api import LiveApi, live_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Clip:
    """A finished clip and its bytes."""

    def __init__(self, api: LiveApi, job: dict[str, Any], data: bytes) -> None:
        self.api, self.job, self.data = api, job, data
        self.size = len(data)
        self.etag = f'"{job["video"]["sha256"]}"'
        self.url = f"/videos/{job['id']}"

    async def get(self, query: str = "", /, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.client.get(self.url + query, headers=named)

    async def head(self, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.client.head(self.url, headers=named)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clip(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clip]:
    async with live_api(tmp_path_factory.mktemp("serving")) as api:
        job = await api.finished("a clip")
        yield Clip(api, job, api.state["files"].video_path(job["id"], job["fence"]).read_bytes())


async def test_the_whole_clip(clip: Clip) -> None:
    answer = await clip.get()
    assert answer.status_code == 200
    assert answer.content == clip.data
    assert hashlib.sha256(answer.content).hexdigest() == clip.job["video"]["sha256"]
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(clip.size)
    assert answer.headers["etag"] == clip.etag
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"].startswith("private")
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["content-disposition"] == f'inline; filename="{clip.job["id"]}.mp4"'


async def test_head_says_what_get_would(clip: Clip) -> None:
    get, head = await clip.get(), await clip.head()
    assert (head.status_code, head.content) == (200, b"")
    changing = ("date", "x-request-id")
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in get.headers.items() if k not in changing
    }
    # Range is defined for GET alone.
    ranged = await clip.head(range="bytes=0-1")
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, str(clip.size))


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, -1),
        ("bytes=10-19", 10, 19),
        ("bytes=-1", -1, -1),
        ("bytes=-7", -7, -1),
        ("bytes=-999999", 0, -1),
        ("bytes=5-999999", 5, -1),
        ("Bytes = 5 - 6", 5, 6),
    ],
)
async def test_one_range(clip: Clip, header: str, first: int, last: int) -> None:
    first, last = first % clip.size, last % clip.size
    answer = await clip.get(range=header)
    assert answer.status_code == 206
    assert answer.content == clip.data[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{clip.size}"
    assert answer.headers["content-length"] == str(last + 1 - first)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-4",
        "bytes=-",
        "bytes=x-y",
        "lines=0-1",
        "bytes",
        "bytes=0-1,4-5",
        f"bytes=0-{'9' * 5000}",
        "bytes=--1",
    ],
)
async def test_a_range_that_is_not_one_gets_everything(clip: Clip, header: str) -> None:
    answer = await clip.get(range=header)
    assert (answer.status_code, answer.content) == (200, clip.data)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("header", ["bytes={size}-", "bytes=99999999-", "bytes=-0"])
async def test_a_range_outside_the_clip(clip: Clip, header: str) -> None:
    answer = await clip.get(range=header.format(size=clip.size))
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{clip.size}"
    assert answer.json()["error"]["code"] == "range_not_satisfiable"


async def test_if_range_gives_the_rest_of_the_same_clip_or_all_of_another(clip: Clip) -> None:
    modified = (await clip.get()).headers["last-modified"]
    for validator, status in [
        (clip.etag, 206),
        (modified, 206),
        (f"W/{clip.etag}", 200),
        ('"other"', 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 200),
    ]:
        assert (await clip.get(range="bytes=1-2", if_range=validator)).status_code == status, validator


async def test_conditions(clip: Clip) -> None:
    modified = (await clip.get()).headers["last-modified"]
    past, future = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    for headers, status in [
        ({"if_none_match": clip.etag}, 304),
        ({"if_none_match": f"W/{clip.etag}"}, 304),
        ({"if_none_match": f'"x", {clip.etag}'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"x"'}, 200),
        ({"if_none_match": '"x"', "if_modified_since": future}, 200),
        ({"if_none_match": clip.etag, "range": "bytes=0-1"}, 304),
        ({"if_modified_since": modified}, 304),
        ({"if_modified_since": past}, 200),
        ({"if_modified_since": "yesterday"}, 200),
        ({"if_match": clip.etag}, 200),
        ({"if_match": f"W/{clip.etag}"}, 412),
        ({"if_match": '"x"'}, 412),
        ({"if_unmodified_since": past}, 412),
        ({"if_unmodified_since": modified}, 200),
    ]:
        for answer in (await clip.get(**headers), await clip.head(**headers)):
            assert answer.status_code == status, headers
            if status == 304:
                assert answer.content == b""
                assert answer.headers["etag"] == clip.etag


async def test_download_and_record(clip: Clip) -> None:
    download = await clip.get("?download=1")
    assert download.headers["content-disposition"].startswith("attachment")
    record = await clip.get(accept="application/json")
    assert record.json()["id"] == clip.job["id"]
    assert record.headers["vary"] == "Accept"
    assert (await clip.get(accept="video/*, application/json;q=0.5")).headers["content-type"] == "video/mp4"


async def test_thumbnail(clip: Clip) -> None:
    answer = await clip.api.client.get(f"{clip.url}/thumbnail")
    assert (answer.status_code, answer.content) == (200, b"thumbnail")
    assert answer.headers["content-type"] == "image/webp"
    again = await clip.api.client.get(
        f"{clip.url}/thumbnail", headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    assert (await clip.api.client.head(f"{clip.url}/thumbnail")).status_code == 200


async def test_an_unfinished_clip(clip: Clip) -> None:
    job = await clip.api.waiting()
    answer = await clip.api.client.get(f"/videos/{job['id']}")
    assert answer.status_code == 409
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "video_in_progress"
    assert "in_progress" in answer.json()["error"]["message"]
    record = await clip.api.client.get(f"/videos/{job['id']}", headers={"accept": "application/json"})
    assert record.json()["status"] == "in_progress"
    await clip.api.cancel(job["id"])
    assert (await clip.api.client.get(f"/videos/{job['id']}")).json()["error"]["code"] == "video_cancelled"


async def test_a_failed_clip_says_why(clip: Clip) -> None:
    job = await clip.api.create("refuse out_of_memory")
    await clip.api.until(job["id"], "failed")
    answer = await clip.api.client.get(f"/videos/{job['id']}")
    assert answer.status_code == 409
    assert "out_of_memory" in answer.json()["error"]["message"]


async def test_a_clip_whose_file_is_gone(clip: Clip) -> None:
    api = clip.api
    expired, lost = await api.finished(seed=1), await api.finished(seed=2)
    record = await api.state["store"].get(expired["id"])
    assert record is not None
    await api.state["store"].mark_file_expired(record)
    api.state["files"].delete(lost["id"])
    for job in (expired, lost):
        for path in (f"/videos/{job['id']}", f"/videos/{job['id']}/thumbnail"):
            answer = await api.client.get(path)
            assert answer.status_code == 410
            assert answer.json()["error"]["code"] == "video_expired"
        record_answer = await api.client.get(f"/videos/{job['id']}", headers={"accept": "application/json"})
        assert record_answer.json()["status"] == "completed"


async def test_an_unknown_clip(clip: Clip) -> None:
    for path in ("/videos/video_x", "/videos/..%2f..%2fetc", "/videos/a%00b", "/videos/video_x/thumbnail"):
        answer = await clip.api.client.get(path)
        assert answer.status_code == 404, path


async def test_a_clip_deleted_while_it_is_read_is_read_to_its_end(clip: Clip) -> None:
    job = await clip.api.finished(seed=3)
    async with clip.api.client.stream("GET", f"/videos/{job['id']}") as answer:
        clip.api.state["files"].delete(job["id"])
        data = await answer.aread()
    assert hashlib.sha256(data).hexdigest() == job["video"]["sha256"]
