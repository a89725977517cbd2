import pytest

from routers.negotiation import prefers_json, wait_seconds


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("video/*", False),
        ("application/json", True),
        ("Application/JSON", True),
        ("application/*", True),
        ("application/json;q=0.5, */*;q=0.1", True),
        ("application/json, video/mp4", False),
        ("application/json;q=0.9, video/mp4", False),
        ("application/json, video/mp4;q=0.9", True),
        ("application/json;q=0, */*", False),
        ("application/json;q=1, video/*;q=0", True),
        ("video/webm,video/ogg,video/*;q=0.9,application/ogg;q=0.7,audio/*;q=0.6,*/*;q=0.5", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json;q=nonsense", False),
        (",;,q=;", False),
    ],
)
def test_json_is_given_to_whom_wants_it_most(accept: str | None, json: bool) -> None:
    assert prefers_json(accept) is json


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ([], None),
        (["wait=5"], 5),
        (['WAIT = "5"'], 5),
        (["respond-async, wait=7"], 7),
        (["respond-async", "wait=7; x=y"], 7),
        (["wait=1, wait=2"], 1),
        (["wait=100000"], 300),
        (["wait=0"], 0),
        (["wait"], None),
        (["wait=-1"], None),
        (["wait=soon"], None),
        (["wait=" + "9" * 5000], None),
    ],
)
def test_wait_is_read_as_rfc_7240_says(prefer: list[str], seconds: int | None) -> None:
    assert wait_seconds(prefer, 300) == seconds
