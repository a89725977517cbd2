"""What ``quality`` may be, and what each tier changes of how a clip is made. Pure data."""

from dataclasses import dataclass
from typing import Literal

from models.video import Quality

Spacing = Literal["model", "trailing"]


@dataclass(frozen=True)
class Tier:
    """A trade of fidelity for time. The defaults change nothing.

    Attributes:
        steps: Steps of a request that names none, as a share of the model's default.
        scheduler: Sampler of a request that names none; None: the model's default.
        spacing: Which noise levels the steps visit: as the checkpoint says, or ``trailing``
            (https://arxiv.org/abs/2305.08891, section 3.3).
        guidance_sigmas: Guidance is computed at noise levels above the first, up to the second; None: at all.
        cache_interval: Of so many calls of the UNet one is whole; the others reuse its inner layers.
        cache_depth: Layers of the UNet's last block that every call computes.
        fp8: Whether linear layers compute in 8 bits on a card that has them.
    """

    quality: Quality
    description: str
    steps: float = 1.0
    scheduler: str | None = None
    spacing: Spacing = "model"
    guidance_sigmas: tuple[float, float] | None = None
    cache_interval: int = 1
    cache_depth: int = 1
    fp8: bool = False


EXACT = Tier("exact", "As the model makes it.")
BALANCED = Tier(
    "balanced",
    "Three fifths of the steps, by a sampler that suits: hard to tell from exact.",
    steps=0.6,
    scheduler="dpm++",
    spacing="trailing",
)
FAST = Tier(
    "fast",
    "Half the steps, the network's inner layers in every other one alone; in 8 bits where the card can.",
    steps=0.5,
    scheduler="dpm++",
    spacing="trailing",
    cache_interval=2,
    cache_depth=2,
    fp8=True,
)
TIERS = (EXACT, BALANCED, FAST)
"""What models offer unless their entry says otherwise; ``docs/performance.md`` has what each brings."""
