"""How a model's UNet is called in each tier."""

from typing import Any

from services.generation.accelerated import Accelerated
from services.generation.acceleration.deep_cache import CachedDenoiser
from services.generation.acceleration.float8 import has_float8, twin_of
from services.generation.acceleration.techniques import apply_techniques
from services.generation.denoiser import Denoiser
from services.generation.memory import Placement
from services.tiers import Tier


class TierDenoisers:
    """The denoisers of one model, made when first asked for.

    Weights that move between host and device are called as the exact tier calls them: the other ways reach
    into the UNet, past the hooks that fetch it.
    """

    def __init__(self, unet: Any, placement: Placement, accelerated: Accelerated) -> None:
        self._unet = unet
        self._placement = placement
        self._accelerated = accelerated
        self._made: dict[tuple[int, int, bool], Denoiser] = {}
        self._twin: Any = None

    def of(self, tier: Tier) -> Denoiser:
        wants_float8 = tier.fp8 and has_float8(self._placement.device)
        if self._placement.offload != "none" or (tier.cache_interval == 1 and not wants_float8):
            return self._accelerated.denoiser
        key = (tier.cache_interval, tier.cache_depth, wants_float8)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, interval: int, depth: int, in_float8: bool) -> Denoiser:
        text_attention = self._accelerated.text_attention
        unet, runner = self._unet, self._accelerated.runner
        if in_float8:
            unet, runner = self._float8_twin(), runner.with_technique("float8")
        # Blocks of other models may have fewer layers.
        depth = min(depth, len(unet.up_blocks[-1].resnets))
        if interval == 1:
            return Denoiser(unet, text_attention=text_attention, runner=runner)
        return CachedDenoiser(unet, interval, depth, text_attention=text_attention, runner=runner)

    def _float8_twin(self) -> Any:
        if self._twin is None:
            self._twin = twin_of(self._unet)
            apply_techniques(self._twin, ("float8",))
        return self._twin
