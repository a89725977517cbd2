"""OpenAI's Python package, unmodified, against the running service."""

from collections.abc import AsyncIterator, Awaitable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from PIL import Image

from authentication import create_key
from tests.live_api import LiveApi, live_api

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The package says with every call that OpenAI's own service ends.
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

NOBODYS = "video_" + "0" * 26


class Client(AsyncOpenAI):
    """The package's client as it is, over a transport that counts."""

    def __init__(self, api: LiveApi, api_key: str = "none", max_retries: int = 2) -> None:
        self.asked = 0
        http_client = openai.DefaultAsyncHttpx2Client(event_hooks={"request": [self._count]})
        super().__init__(
            base_url=str(api.client.base_url.join("/v1")),
            api_key=api_key,
            http_client=http_client,
            max_retries=max_retries,
        )

    async def _count(self, _request: httpx2.Request) -> None:
        self.asked += 1

    async def refused(
        self, call: Awaitable[Any], error: type[openai.APIStatusError]
    ) -> openai.APIStatusError:
        """The error, which must be of this very type and was not tried again."""
        self.asked = 0
        with pytest.raises(error) as caught:
            await call
        assert type(caught.value) is error
        assert self.asked == 1, "it was tried again, in vain"
        assert caught.value.type
        assert caught.value.code
        assert caught.value.request_id
        return caught.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("openai"), model_aliases="sora-2=demo", max_queued=3) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: LiveApi) -> AsyncIterator[Client]:
    async with Client(api) as client:
        yield client


async def test_create_and_poll_then_download(api: LiveApi, client: Client, tmp_path: Path) -> None:
    video = await client.videos.create_and_poll(prompt="a red circle moving left")
    assert video.object == "video"
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert (video.model, video.seconds, video.size) == ("demo", "2", "128x128")
    assert video.prompt == "a red circle moving left"
    assert video.remixed_from_video_id is None
    assert video.completed_at is not None
    assert video.expires_at is not None
    assert video.created_at <= video.completed_at < video.expires_at
    content = await client.videos.download_content(video.id)
    content.write_to_file(tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == (await api.client.get(f"/videos/{video.id}")).content
    thumbnail = await client.videos.download_content(video.id, variant="thumbnail")
    assert thumbnail.read() == (await api.client.get(f"/videos/{video.id}/thumbnail")).content
    spritesheet = await client.videos.download_content(video.id, variant="spritesheet")
    assert spritesheet.response.headers["spritesheet"] == "columns=4, rows=4, tiles=16, width=64, height=64"
    with Image.open(BytesIO(spritesheet.read())) as image:
        assert (image.format, image.size) == ("WEBP", (256, 256))
    async with client.videos.with_streaming_response.download_content(video.id) as streamed:
        assert streamed.headers["content-type"] == "video/mp4"
        assert (await streamed.read())[4:8] == b"ftyp"


EXTRA: dict[str, Any] = {
    "seed": 7,
    "num_inference_steps": 3,
    "negative_prompt": "blue",
    "guidance_scale": 2.5,
    "fps": 4,
    "num_frames": 16,
    "scheduler": "euler",
    "quality": "balanced",
}


async def test_extra_body_reaches_the_job(api: LiveApi, client: Client) -> None:
    video = await client.videos.create(
        prompt="a red circle",
        model="demo",
        size="128x128",  # type: ignore[arg-type]
        seconds="4",  # type: ignore[arg-type]
        extra_body=EXTRA | {"metadata": {"take": "1", "été": "ü"}, "priority": -1, "width": None},
    )
    job = await api.job(video.id)
    assert job["params"] == EXTRA | {"prompt": "a red circle", "width": 128, "height": 128}
    assert (job["metadata"], job["priority"]) == ({"take": "1", "été": "ü"}, -1)
    assert video.seconds == "4"
    assert video.model_extra is not None
    assert {name: video.model_extra[name] for name in EXTRA} == EXTRA
    await client.videos.poll(video.id)


async def test_json_is_taken_too(api: LiveApi) -> None:
    body = EXTRA | {"prompt": "a red circle", "model": None, "seconds": 4, "size": "128x128"}
    answer = await api.client.post("/v1/videos", json=body)
    assert answer.status_code == 200, answer.text
    job = await api.until(answer.json()["id"], "completed")
    assert job["params"] == EXTRA | {"prompt": "a red circle", "width": 128, "height": 128}


async def test_what_one_door_makes_the_other_shows(api: LiveApi, client: Client) -> None:
    theirs = await api.finished("a red circle", seed=3)
    seen = await client.videos.retrieve(theirs["id"])
    assert (seen.status, seen.prompt) == ("completed", "a red circle")
    ours = await client.videos.create_and_poll(prompt="a blue star")
    listed = (await api.client.get("/jobs", params={"limit": 2})).json()
    assert [job["id"] for job in listed["data"]] == [ours.id, theirs["id"]]
    await client.videos.delete(theirs["id"])
    assert (await api.client.get(f"/jobs/{theirs['id']}")).status_code == 404


async def test_another_services_model_is_refused_unless_it_is_mapped(client: Client) -> None:
    mapped = await client.videos.create_and_poll(prompt="x", model="sora-2")
    assert mapped.model == "demo"
    error = await client.refused(client.videos.create(prompt="x", model="sora-2-pro"), openai.BadRequestError)
    assert (error.param, error.code) == ("model", "model_not_found")
    assert "available: text-to-video-ms-1.7b" in error.message


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"seconds": "4"}, "seconds", "seconds: 4 does not fit. num_frames: 32 is not accepted by demo"),
        ({"seconds": "0"}, "seconds", "greater than 0"),
        ({"seconds": "soon"}, "seconds", "valid number"),
        ({"size": "720x1280"}, "size", "size: 720x1280 does not fit. width: 720 is not accepted by demo"),
        ({"size": "large"}, "size", "pattern"),
        ({"extra_body": {"fps": 61}, "seconds": "1"}, "fps", "accepted values: 1 to 60"),
        ({"extra_body": {"fps": 10**400}, "seconds": "1"}, "fps", "accepted values: 1 to 60"),
        ({"extra_body": {"seed": -1}}, "seed", "greater than or equal to 0"),
        ({"extra_body": {"scheduler": "magic"}}, "scheduler", "accepted values: dpm++"),
        ({"extra_body": {"quality": "high"}}, "quality", "'fast', 'balanced' or 'exact'"),
        ({"extra_body": {"style": "bold"}}, "style", "there is no such parameter"),
        ({"extra_body": {"metadata": {"a.b": "x"}}}, "metadata.a.b", "dots"),
        ({"extra_body": {"priority": "high"}}, "priority", "valid integer"),
        ({"prompt": " "}, "prompt", "at least 1 character"),
        ({"prompt": "\0x"}, "prompt", "without NUL"),
        ({"prompt": "x" * 4001}, "prompt", "at most 4000"),
    ],
)
async def test_a_value_past_its_limit_is_named(
    client: Client, fields: dict[str, Any], param: str, said: str
) -> None:
    error = await client.refused(client.videos.create(**{"prompt": "x"} | fields), openai.BadRequestError)
    assert error.param == param
    assert said in error.message
    assert error.type == "invalid_request_error"


@pytest.mark.parametrize(
    "fields",
    [
        {"input_reference": ("photo.png", b"\x89PNG" * 10**6, "image/png")},
        {"input_reference": b"\x89PNG"},
        {"extra_body": {"input_reference": {"image_url": "data:image/png;base64," + "A" * 2 * 10**6}}},
        {"extra_body": {"input_reference": {"file_id": "file-123"}}},
    ],
    ids=["a large file", "bytes", "a data URL", "an id"],
)
async def test_an_image_is_refused_by_name(client: Client, fields: dict[str, Any]) -> None:
    error = await client.refused(client.videos.create(prompt="x", **fields), openai.BadRequestError)
    assert (error.param, error.code) == ("input_reference", "unsupported_parameter")
    assert "demo takes no image" in error.message


async def test_what_the_models_cannot_do_is_refused_by_name(client: Client) -> None:
    clip = ("clip.mp4", b"\0" * 100)
    for call in (
        client.videos.edit(prompt="x", video=clip),
        client.videos.extend(prompt="x", seconds="4", video=clip),
        client.videos.create_character(name="x", video=clip),
        client.videos.get_character("char_1"),
    ):
        error = await client.refused(call, openai.BadRequestError)
        assert error.code == "unsupported_operation"
        assert "remix" in error.message


async def test_models_have_the_names_that_create_takes(client: Client) -> None:
    models = [model async for model in client.models.list()]
    assert models[0].id == "text-to-video-ms-1.7b"
    assert models[0].owned_by == "damo-vilab"
    demo = await client.models.retrieve("demo")
    assert (demo.object, demo.owned_by) == ("model", "local")
    error = await client.refused(client.models.retrieve("sora-3"), openai.NotFoundError)
    assert error.code == "model_not_found"


async def test_what_is_missing_is_not_found(client: Client) -> None:
    for call in (
        client.videos.retrieve(NOBODYS),
        client.videos.delete(NOBODYS),
        client.videos.download_content("nothing"),
        client.videos.remix(NOBODYS, prompt="x"),
    ):
        error = await client.refused(call, openai.NotFoundError)
        assert (error.type, error.code, error.param) == ("not_found_error", "job_not_found", "id")


async def test_a_failed_job_is_an_answer(client: Client) -> None:
    video = await client.videos.create_and_poll(prompt="refuse out_of_memory Take a smaller size.")
    assert video.status == "failed"
    assert video.error is not None
    assert (video.error.code, video.error.message) == ("out_of_memory", "Take a smaller size.")
    error = await client.refused(client.videos.download_content(video.id), openai.BadRequestError)
    assert error.code == "video_failed"
    assert (await client.videos.delete(video.id)).deleted


async def test_a_cancelled_job_has_failed(api: LiveApi, client: Client) -> None:
    job = await api.waiting()
    await api.cancel(job["id"])
    video = await client.videos.poll(job["id"])
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == "cancelled"


async def test_an_unfinished_clip_is_not_asked_for_again_and_again(api: LiveApi, client: Client) -> None:
    running = await api.waiting()
    queued = await client.videos.create(prompt="x")
    assert (queued.status, queued.progress) == ("queued", 0)
    for variant in ("video", "thumbnail", "spritesheet"):
        for job_id, code in ((running["id"], "video_in_progress"), (queued.id, "video_queued")):
            error = await client.refused(
                client.videos.download_content(job_id, variant=variant),  # type: ignore[arg-type]
                openai.BadRequestError,
            )
            assert error.code == code
    for call in (client.videos.delete(running["id"]), client.videos.delete(queued.id)):
        assert (await client.refused(call, openai.BadRequestError)).code == "job_not_ended"
    error = await client.refused(client.videos.remix(running["id"], prompt="x"), openai.BadRequestError)
    assert error.code == "not_remixable"
    await api.cancel(running["id"])
    await client.videos.poll(queued.id)


async def test_an_expired_clip_is_not_found(api: LiveApi, client: Client) -> None:
    video = await client.videos.create_and_poll(prompt="x")
    record = await api.state["store"].get(video.id)
    assert record is not None
    await api.state["store"].mark_file_expired(record)
    error = await client.refused(client.videos.download_content(video.id), openai.NotFoundError)
    assert error.code == "video_expired"
    error = await client.refused(
        client.videos.download_content(video.id, variant="poster"),  # type: ignore[arg-type]
        openai.BadRequestError,
    )
    assert error.param == "variant"


async def test_list_pages_by_itself(client: Client) -> None:
    made = [(await client.videos.create_and_poll(prompt=f"clip {number}")).id for number in range(3)]
    page = await client.videos.list(limit=2)
    assert [video.id for video in page.data] == made[:0:-1]
    assert (page.has_more, page.last_id) == (True, made[1])
    assert page.model_extra is not None
    assert page.model_extra["first_id"] == made[2]
    following = await page.get_next_page()
    assert following.data[0].id == made[0]
    assert [video.id async for video in client.videos.list(limit=1, order="asc", after=made[0])] == made[1:]
    everything = [video.id async for video in client.videos.list(limit=2)]
    assert len(everything) == len(set(everything)) > 2
    assert set(made) <= set(everything)
    for refused in (client.videos.list(limit=101), client.videos.list(after="x")):
        error = await client.refused(_first(refused), openai.BadRequestError)
        assert error.param in ("limit", "after")


async def _first(page: Awaitable[Any]) -> Any:
    return await page


async def test_delete_takes_record_and_files(api: LiveApi, client: Client) -> None:
    video = await client.videos.create_and_poll(prompt="x")
    await client.videos.download_content(video.id, variant="spritesheet")
    deleted = await client.videos.delete(video.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (video.id, True, "video.deleted")
    await client.refused(client.videos.retrieve(video.id), openai.NotFoundError)
    assert not list((api.folder / "data" / "videos").glob(f"{video.id}*"))


async def test_remix_changes_the_prompt_alone(api: LiveApi, client: Client) -> None:
    first = await client.videos.create_and_poll(
        prompt="a red circle", extra_body=EXTRA | {"metadata": {"take": "1"}}
    )
    remix = await client.videos.remix(first.id, prompt="a blue circle")
    assert remix.id != first.id
    assert remix.remixed_from_video_id == first.id
    job = await api.job(remix.id)
    assert job["params"] == (await api.job(first.id))["params"] | {"prompt": "a blue circle"}
    assert (job["remix_of"], job["retry_of"], job["metadata"]) == (first.id, None, {"take": "1"})
    assert (await client.videos.poll(remix.id)).status == "completed"
    error = await client.refused(client.videos.remix(first.id, prompt=""), openai.BadRequestError)
    assert error.param == "prompt"


async def test_answers_say_when_to_ask_again(api: LiveApi, client: Client) -> None:
    running = await api.waiting()
    raw = await client.videos.with_raw_response.retrieve(running["id"])
    assert 250 <= int(raw.headers["openai-poll-after-ms"]) <= 5000
    await api.cancel(running["id"])
    ended = await client.videos.with_raw_response.retrieve(running["id"])
    assert "openai-poll-after-ms" not in ended.headers


async def test_a_full_queue_is_a_limit_like_others(api: LiveApi, client: Client) -> None:
    running = await api.waiting()
    waiting = [await client.videos.create(prompt="x") for _ in range(3)]
    async with Client(api, max_retries=0) as impatient:
        error = await impatient.refused(impatient.videos.create(prompt="x"), openai.RateLimitError)
    assert error.code == "queue_full"
    assert int(error.response.headers["retry-after"]) > 0
    await api.cancel(running["id"])
    for video in waiting:
        await client.videos.poll(video.id)


async def test_an_idempotency_key_makes_one_job(client: Client) -> None:
    headers = {"Idempotency-Key": "once"}
    made = {(await client.videos.create(prompt="x", extra_headers=headers)).id for _ in range(3)}
    assert len(made) == 1
    error = await client.refused(
        client.videos.create(prompt="y", extra_headers=headers), openai.BadRequestError
    )
    assert error.code == "idempotency_key_reused"
    (first,) = made
    await client.videos.poll(first)
    again = {"Idempotency-Key": "again"}
    remixes = {(await client.videos.remix(first, prompt="z", extra_headers=again)).id for _ in range(2)}
    assert len(remixes) == 1
    await client.videos.poll(remixes.pop())


async def test_keys_and_scopes(tmp_path: Path) -> None:
    key, entry = create_key("alice")
    async with (
        live_api(tmp_path, api_keys=entry) as api,
        Client(api, key) as client,
        Client(api, "sk-proj-wrong") as stranger,
    ):
        video = await client.videos.create_and_poll(prompt="x")
        error = await stranger.refused(stranger.videos.retrieve(video.id), openai.AuthenticationError)
        assert error.code == "invalid_api_key"
        body = {"name": "reader", "owner": "alice", "scopes": ["read"]}
        made = await api.client.post("/keys", json=body, headers={"authorization": f"Bearer {key}"})
        async with Client(api, made.json()["key"]) as reader:
            assert (await reader.videos.retrieve(video.id)).status == "completed"
            error = await reader.refused(reader.videos.create(prompt="x"), openai.PermissionDeniedError)
            assert error.code == "missing_scope"
