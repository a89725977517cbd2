"""The catalogue: which models there are, and what may be asked of them."""

from dataclasses import asdict

from fastapi import APIRouter

from models.responses import (
    FloatRange,
    IntRange,
    ModelDefaults,
    ModelLimits,
    ModelList,
    ModelResponse,
    ModelTier,
)
from routers.dependencies import HealthOf, Models, Owner, errors
from services.catalogue_entry import CatalogueEntry, Limits, Range
from services.errors import NotFound
from services.tiers import Tier

router = APIRouter(prefix="/models", tags=["models"], responses=errors(401, 403, 429, 503))


@router.get("", summary="List models", responses=errors(401))
async def list_models(_owner: Owner, catalogue: Models, health: HealthOf) -> ModelList:
    return ModelList(data=[_response(entry, catalogue.default, health.loaded_models) for entry in catalogue])


@router.get("/{name}", summary="Get a model", responses=errors(401, 404))
async def get_model(name: str, _owner: Owner, catalogue: Models, health: HealthOf) -> ModelResponse:
    entry = catalogue.get(name)
    if entry is None:
        raise NotFound(
            f"There is no model {name[:100]!r}; available: {', '.join(catalogue.names)}.",
            code="model_not_found",
            param="name",
        )
    return _response(entry, catalogue.default, health.loaded_models)


def _response(entry: CatalogueEntry, default: str, loaded: tuple[str, ...]) -> ModelResponse:
    return ModelResponse(
        id=entry.name,
        description=entry.description,
        checkpoint=entry.checkpoint_name,
        revision=entry.revision,
        licence=entry.licence,
        commercial_use=entry.commercial_use,
        memory_gib=entry.memory_gib,
        schedulers=list(entry.schedulers),
        example_prompts=list(entry.example_prompts),
        limits=_limits(entry.limits),
        defaults=ModelDefaults(**asdict(entry.defaults)),
        tiers=[_tier(entry, tier) for tier in entry.tiers],
        default=entry.name == default,
        loaded=entry.name in loaded,
    )


def _tier(entry: CatalogueEntry, tier: Tier) -> ModelTier:
    return ModelTier(
        quality=tier.quality,
        description=tier.description,
        num_inference_steps=entry.default_steps(tier),
        scheduler=tier.scheduler or entry.defaults.scheduler,
        guidance_sigmas=tier.guidance_sigmas,
        cache_interval=tier.cache_interval,
        fp8=tier.fp8,
    )


def _limits(limits: Limits) -> ModelLimits:
    minimum, maximum = limits.guidance_scale
    return ModelLimits(
        width=_range(limits.width),
        height=_range(limits.height),
        num_frames=_range(limits.num_frames),
        fps=_range(limits.fps),
        num_inference_steps=_range(limits.num_inference_steps),
        guidance_scale=FloatRange(minimum=minimum, maximum=maximum),
        max_pixels=limits.max_pixels,
    )


def _range(limit: Range) -> IntRange:
    return IntRange(minimum=limit.minimum, maximum=limit.maximum, multiple_of=limit.multiple_of)
