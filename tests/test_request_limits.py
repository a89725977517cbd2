"""Every limit of a request for a clip: what is at it passes, what is one past it is refused by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.video import (
    MAX_METADATA_ENTRIES,
    MAX_PRIORITY,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    MIN_PRIORITY,
    VideoCreate,
)


def metadata(entries: int = 1, key: int = 1, value: int = 1) -> dict[str, Any]:
    return {"metadata": {f"{number:0{key}}": "x" * value for number in range(entries)}}


AT_AND_PAST = [
    ("prompt", {"prompt": "é" * MAX_PROMPT_CHARS}, {"prompt": "é" * (MAX_PROMPT_CHARS + 1)}),
    ("prompt", {"prompt": "x"}, {"prompt": ""}),
    (
        "negative_prompt",
        {"negative_prompt": "🎈" * MAX_PROMPT_CHARS},
        {"negative_prompt": "🎈" * (MAX_PROMPT_CHARS + 1)},
    ),
    ("seed", {"seed": MAX_SEED}, {"seed": MAX_SEED + 1}),
    ("seed", {"seed": 0}, {"seed": -1}),
    ("priority", {"priority": MAX_PRIORITY}, {"priority": MAX_PRIORITY + 1}),
    ("priority", {"priority": MIN_PRIORITY}, {"priority": MIN_PRIORITY - 1}),
    ("model", {"model": "x" * 200}, {"model": "x" * 201}),
    ("scheduler", {"scheduler": "x" * 64}, {"scheduler": "x" * 65}),
    ("metadata", metadata(MAX_METADATA_ENTRIES), metadata(MAX_METADATA_ENTRIES + 1)),
    ("metadata", metadata(key=64), metadata(key=65)),
    ("metadata", metadata(value=512), metadata(value=513)),
    ("metadata", {"metadata": {"a": ""}}, {"metadata": {"": ""}}),
]


@pytest.mark.parametrize(("field", "at", "past"), AT_AND_PAST)
def test_at_the_limit_and_past_it(field: str, at: dict[str, Any], past: dict[str, Any]) -> None:
    VideoCreate.model_validate({"prompt": "x"} | at)
    with pytest.raises(ValidationError) as caught:
        VideoCreate.model_validate({"prompt": "x"} | past)
    assert {problem["loc"][0] for problem in caught.value.errors()} == {field}
