"""From what a caller asks to every parameter of a generation, checked against the model's limits."""

import secrets
from typing import TypeVar

from models.video import MAX_SEED, Quality, VideoCreate, VideoParams
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry, Range
from services.errors import InvalidRequest
from services.tiers import Tier

T = TypeVar("T")


def resolve_model(request: VideoCreate, catalogue: Catalogue) -> CatalogueEntry:
    """The model that the request names, or the default one. Raises InvalidRequest."""
    name = request.model or catalogue.default
    entry = catalogue.get(name)
    if entry is None:
        raise InvalidRequest(
            f"model: there is no model {name[:100]!r}; available: {', '.join(catalogue.names)}.",
            code="model_not_found",
            param="model",
        )
    return entry


def complete_params(request: VideoCreate, entry: CatalogueEntry) -> VideoParams:
    """Fill in the model's defaults and draw the seed.

    Raises InvalidRequest that names the field, the limit and the accepted values.
    """
    limits, defaults = entry.limits, entry.defaults
    tier = _tier(request.quality or "exact", entry)
    scheduler = request.scheduler or tier.scheduler or defaults.scheduler
    if scheduler not in entry.schedulers:
        raise InvalidRequest(
            f"scheduler: {scheduler!r} is not offered by {entry.name}; "
            f"accepted values: {', '.join(entry.schedulers)}.",
            param="scheduler",
        )
    params = VideoParams(
        prompt=request.prompt,
        negative_prompt=_or(request.negative_prompt, defaults.negative_prompt),
        width=_within("width", _or(request.width, defaults.width), limits.width, entry.name),
        height=_within("height", _or(request.height, defaults.height), limits.height, entry.name),
        num_frames=_within(
            "num_frames", _or(request.num_frames, defaults.num_frames), limits.num_frames, entry.name
        ),
        fps=_within("fps", _or(request.fps, defaults.fps), limits.fps, entry.name),
        num_inference_steps=_within(
            "num_inference_steps",
            _or(request.num_inference_steps, entry.default_steps(tier)),
            limits.num_inference_steps,
            entry.name,
        ),
        guidance_scale=_guidance(_or(request.guidance_scale, defaults.guidance_scale), entry),
        scheduler=scheduler,
        quality=tier.quality,
        seed=_or(request.seed, secrets.randbelow(MAX_SEED + 1)),
    )
    pixels = params.width * params.height * params.num_frames
    if pixels > limits.max_pixels:
        frames = limits.max_pixels // (params.width * params.height)
        advice = (
            f"at {params.width}×{params.height} at most {frames} frames fit"
            if frames
            else "take a smaller size"
        )
        raise InvalidRequest(
            f"num_frames: width × height × num_frames is {pixels}, and {entry.name} takes at most "
            f"{limits.max_pixels}; {advice}.",
            param="num_frames",
        )
    return params


def _tier(quality: Quality, entry: CatalogueEntry) -> Tier:
    tier = entry.tier(quality)
    if tier is None:
        offered = ", ".join(tier.quality for tier in entry.tiers)
        raise InvalidRequest(
            f"quality: {quality!r} is not offered by {entry.name}; accepted values: {offered}.",
            param="quality",
        )
    return tier


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _within(field: str, value: int, limit: Range, model: str) -> int:
    if value in limit:
        return value
    raise InvalidRequest(
        f"{field}: {_shown(value)} is not accepted by {model}; {_accepted(limit)}.", param=field
    )


def _accepted(limit: Range) -> str:
    if limit.minimum == limit.maximum:
        return f"accepted value: {limit.minimum}"
    step = f" in steps of {limit.multiple_of}" if limit.multiple_of > 1 else ""
    return f"accepted values: {limit.minimum} to {limit.maximum}{step}"


def _guidance(value: float, entry: CatalogueEntry) -> float:
    minimum, maximum = entry.limits.guidance_scale
    if not minimum <= value <= maximum:
        raise InvalidRequest(
            f"guidance_scale: {value:g} is not accepted by {entry.name}; "
            f"accepted values: {minimum:g} to {maximum:g}.",
            param="guidance_scale",
        )
    return value


def _shown(value: int) -> str:
    """A number as the caller wrote it, unless it fills pages (Python refuses to print past 4300 digits)."""
    return str(value) if abs(value) < 10**20 else "the value"
