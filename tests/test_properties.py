"""Whatever comes, an answer that fits: ranges, prompts in any script, deep JSON, forms of any bytes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.live_api import LiveApi, live_api

PATIENT = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)

Ask = Callable[..., httpx2.Response]


def is_refusal(answer: httpx2.Response, *statuses: int) -> bool:
    """An error in the envelope of all errors, with one of these statuses."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500])
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text
    return True


number = st.integers(0, 4000) | st.integers(0, 10**25)
ranges = st.one_of(
    st.builds(lambda first, last: f"bytes={first}-{last}", number, number),
    st.builds(lambda first: f"bytes={first}-", number),
    st.builds(lambda length: f"bytes=-{length}", number),
    st.lists(st.builds(lambda first, last: f"{first}-{last}", number, number), min_size=2, max_size=5).map(
        lambda spans: "bytes=" + ",".join(spans)
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40),
)


def check_ranges(ask: Ask, path: str, content: bytes) -> None:
    size = len(content)

    @PATIENT
    @given(header=ranges)
    @example(header="bytes=-0")
    @example(header=f"bytes={size}-")
    @example(header=f"bytes={size - 1}-{10**17}")
    @example(header="bytes=5-4")
    @example(header="bytes=--5")
    def check(header: str) -> None:
        answer = ask("GET", path, headers={"Range": header.strip()})
        if answer.status_code == 206:
            said = answer.headers["content-range"].removeprefix("bytes ").partition("/")[0]
            first, last = map(int, said.split("-"))
            assert 0 <= first <= last < size
            assert answer.content == content[first : last + 1]
            asked_first, asked_last = header.split("=")[1].split("-")
            assert first == (int(asked_first) if asked_first else max(0, size - int(asked_last)))
        elif answer.status_code == 200:
            assert answer.content == content
        else:
            assert is_refusal(answer, 416)
            assert answer.headers["content-range"] == f"bytes */{size}"

    check()


any_text = st.text(st.characters(), min_size=1, max_size=60)  # lone surrogates and NUL among them
right_to_left = st.sampled_from(["دائرة حمراء", "עיגול אדום", "\u202egnp.exe\u202c", "a \u200f\u200e b"])
emoji = st.sampled_from(
    ["🔴", "👩‍👩‍👧‍👦", "🏳️‍🌈", "e\u0301\u0301\u0301", "\U0010ffff", "\ufeff", "\x00", "\x1b[31m"]
)


def is_text(value: str) -> bool:
    """Whether UTF-8 can say it, without NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def check_prompts(ask: Ask) -> None:
    @PATIENT
    @given(prompt=any_text | right_to_left | st.lists(emoji, min_size=1).map("".join), tag=any_text)
    @example(prompt="a\ud800b", tag="x")
    @example(prompt="x", tag="\udfff")
    @example(prompt="\x00", tag="\x00")
    def check(prompt: str, tag: str) -> None:
        body = json.dumps({"prompt": f"at once {prompt}", "metadata": {"tag": tag}})
        answer = ask("POST", "/videos", content=body, headers={"Content-Type": "application/json"})
        if not (is_text(prompt) and is_text(tag)):
            assert is_refusal(answer, 422)
            return
        assert answer.status_code == 202, answer.text
        kept = ask("GET", f"/jobs/{answer.json()['id']}").json()
        assert kept["params"]["prompt"] == f"at once {prompt}"
        assert kept["metadata"] == {"tag": tag}
        found = ask("GET", "/jobs", params={"q": prompt[:50], "limit": 100})
        assert found.status_code == 200
        assert kept["id"] in {job["id"] for job in found.json()["data"]} or not prompt.strip()

    check()


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


def check_json(ask: Ask) -> None:
    def send(body: str) -> None:
        answer = ask("POST", "/videos", content=body, headers={"Content-Type": "application/json"})
        assert is_refusal(answer, 400, 413, 422)

    @PATIENT
    @given(value=values, field=st.sampled_from(["prompt", "metadata", "seed", "width", "model", None]))
    def check(value: Any, field: str | None) -> None:
        # A field that none has, so that no value is taken.
        body = {"prompt": "x", "no_such_field": 1} | {field: value} if field else value
        send(json.dumps(body))

    @PATIENT
    @given(depth=st.integers(1, 10_000) | st.just(100_000), field=st.sampled_from(["prompt", "metadata"]))
    def check_depth(depth: int, field: str) -> None:
        send(nested(depth, "[", "]"))
        send(nested(depth, '{"a":', "}"))
        send(f'{{"no_such_field": 1, "{field}": {nested(depth, "[", "]")}}}')

    check()
    check_depth()


part_headers = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="prompt"',
        b'Content-Disposition: form-data; name="input_reference"; filename="a.png"',
        b'Content-Disposition: form-data; name="metadata[a]"',
        b"Content-Disposition: form-data",
        b"Content-Type: text/plain",
    ]
)
parts = st.builds(
    lambda header, content: b"--b\r\n" + header + b"\r\n\r\n" + content + b"\r\n",
    part_headers | st.binary(max_size=30),
    st.binary(max_size=30),
)


def check_forms(ask: Ask) -> None:
    @PATIENT
    @given(
        body=st.lists(parts | st.binary(max_size=20), max_size=5).map(b"".join),
        end=st.sampled_from([b"--b--\r\n", b"", b"--b--", b"\r\n--b\r\n"]),
        boundary=st.sampled_from(["b", "c", '"b"', "", "b; boundary=c"]),
    )
    def check(body: bytes, end: bytes, boundary: str) -> None:
        # A field that none has: no job is made, whatever else the form holds.
        refused = b'--b\r\nContent-Disposition: form-data; name="nothing"\r\n\r\nx\r\n'
        answer = ask(
            "POST",
            "/v1/videos",
            content=refused + body + end,
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        assert is_refusal(answer, 400)

    check()


async def finished_clip(api: LiveApi) -> tuple[str, bytes]:
    path = f"/videos/{(await api.finished())['id']}"
    return path, (await api.client.get(path)).content


async def test_whatever_comes_is_answered(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        path, content = await finished_clip(api)
        with httpx2.Client(base_url=str(api.client.base_url), timeout=60) as client:
            await asyncio.to_thread(check_ranges, client.request, path, content)
            await asyncio.to_thread(check_prompts, client.request)
            await asyncio.to_thread(check_json, client.request)
            await asyncio.to_thread(check_forms, client.request)
