"""Forms as they come over the wire, whole and broken."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from routers.form_body import MAX_FIELDS
from tests.live_api import LiveApi, live_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"content-type": "multipart/form-data; boundary=b"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("forms")) as api:
        yield api


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


PROMPT, END = part("prompt", b"a red circle"), b"--b--\r\n"


async def post(api: LiveApi, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
    return await api.client.post("/v1/videos", content=body, headers=headers or FORM)


async def test_a_form_may_come_in_any_pieces(api: LiveApi) -> None:
    body = PROMPT + part("negative_prompt", b"") + part("seed", b"7") + part("metadata[take]", "é".encode())
    body += END

    async def one_by_one() -> AsyncIterator[bytes]:
        for place in range(len(body)):
            yield body[place : place + 1]

    for content in (body, one_by_one()):
        answer = await api.client.post("/v1/videos", content=content, headers=FORM)
        assert answer.status_code == 200, answer.text
        assert answer.json()["prompt"] == "a red circle"
        assert (answer.json()["seed"], answer.json()["metadata"]) == (7, {"take": "é"})
        await api.until(answer.json()["id"], "completed")


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"", "invalid_form", "cut off"),
        (PROMPT, "invalid_form", "cut off"),
        (PROMPT[:-20], "invalid_form", "cut off"),
        (b"not a form", "invalid_form", "not a form"),
        (b"--b\r\n\r\nx\r\n" + END, "invalid_form", "has no name"),
        (part("prompt", b"\xff") + END, "invalid_form", "prompt: is not in UTF-8"),
        (PROMPT + PROMPT + END, "invalid_value", "prompt: is given more than once"),
        (PROMPT + part("prompt[x]", b"x") + END, "invalid_value", "given more than once"),
        (part("a", b"x") * (MAX_FIELDS + 1) + END, "invalid_form", f"more than {MAX_FIELDS} fields"),
        (part("prompt", b"x" * (2**20 + 1)) + END, "invalid_form", "longer than 1 MiB"),
        (part("prompt", b"x", '; filename="x.txt"') + END, "invalid_value", "prompt: input should be"),
        (PROMPT + part("metadata", b"x") + END, "invalid_value", "metadata: input should be"),
        (END, "missing_parameter", "prompt: is required"),
        (PROMPT + part("nothing", b"x") + END, "unknown_parameter", "nothing: there is no such"),
    ],
)
async def test_a_broken_form_is_refused(api: LiveApi, body: bytes, code: str, said: str) -> None:
    answer = await post(api, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == code
    assert said in answer.json()["error"]["message"]


async def test_an_image_is_read_past_and_refused(api: LiveApi) -> None:
    image = part("input_reference", b"\x89PNG" * 10**6, '; filename="photo.png"')
    answer = await post(api, PROMPT + image + END)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_reference")
    answer = await post(api, PROMPT + image * 3 + END)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "The body is larger than 8 MiB."


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("multipart/form-data", PROMPT + END, 400, "invalid_form"),
        ("multipart/form-data; boundary=" + "x" * 300, PROMPT + END, 400, "invalid_form"),
        ("text/plain", b"a red circle", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"prompt=x", 415, "unsupported_media_type"),
        ("application/json", b"{", 400, "invalid_json"),
        ("application/json", b'"\xff"', 400, "invalid_json"),
        ("application/json", b"[" * 100_000, 400, "invalid_json"),
        ("application/json", b"[]", 400, "invalid_body"),
        ("application/json", b'{"prompt": "x", "guidance_scale": NaN}', 400, "invalid_value"),
        ("application/json", b'{"prompt": "' + b"x" * 2**20 + b'"}', 413, "body_too_large"),
    ],
)
async def test_what_is_no_form_and_no_json(
    api: LiveApi, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = await post(api, body, {"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
