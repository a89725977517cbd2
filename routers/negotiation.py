"""Reading the request headers ``Accept`` (RFC 9110, section 12.5.1) and ``Prefer`` (RFC 7240)."""

import re
from collections.abc import Iterable

_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.IGNORECASE)


def prefers_json(accept: str | None) -> bool:
    """Whether ``application/json`` is wanted more than ``video/mp4``. A tie (``*/*``) means the clip."""
    if not accept:
        return False
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    return _quality("application/json", ranges) > _quality("video/mp4", ranges)


def wait_seconds(prefer: Iterable[str], at_most: int) -> int | None:
    """Seconds of ``Prefer: wait=<s>``, or None. The first one counts; what cannot be read is ignored."""
    for header in prefer:
        for preference in header.split(","):
            if match := _WAIT.fullmatch(preference):
                return min(int(match[1]), at_most)
    return None


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            quality = float(value) if re.fullmatch(r"\s*(0(\.\d{0,3})?|1(\.0{0,3})?)", value) else 0.0
    return name, quality


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """The quality given by the most specific range that matches."""
    family = media_type.split("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        qualities = [quality for name, quality in ranges if name == wanted]
        if qualities:
            return max(qualities)
    return 0.0
