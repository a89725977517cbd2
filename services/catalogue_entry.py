"""What is known of a model: where it is, what it may be asked, what it does unasked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.video import Quality
from services.tiers import TIERS, Tier

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent

SCHEDULERS: Mapping[str, str] = {
    "dpm++": "DPMSolverMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "deis": "DEISMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "lcm": "LCMScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
"""The API's scheduler names and the diffusers classes they stand for."""

GENERAL_SCHEDULERS = tuple(name for name in SCHEDULERS if name != "lcm")
"""Those that suit any model; ``lcm`` suits models that were distilled for it, and takes at most 50 steps."""


@dataclass(frozen=True)
class Range:
    """Closed interval; values are ``minimum`` plus a multiple of ``multiple_of``."""

    minimum: int
    maximum: int
    multiple_of: int = 1

    def __contains__(self, value: int) -> bool:
        return self.minimum <= value <= self.maximum and (value - self.minimum) % self.multiple_of == 0


@dataclass(frozen=True)
class Limits:
    """What a request may ask of a model. Sizes in pixels.

    ``max_pixels`` bounds width × height × num_frames, which decides memory and time.
    """

    width: Range
    height: Range
    num_frames: Range
    max_pixels: int
    fps: Range = Range(1, 60)
    num_inference_steps: Range = Range(1, 200)
    guidance_scale: tuple[float, float] = (0.0, 30.0)


@dataclass(frozen=True)
class Defaults:
    width: int
    height: int
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    negative_prompt: str = ""


@dataclass(frozen=True)
class Weights:
    """Safetensors from elsewhere than a model's checkpoint.

    Attributes:
        source: A repository on the hub, or a folder.
        path: Of a UNet the folder in ``source``, of a LoRA the file.
        revision: The commit or branch on the hub; None for a folder.
        variant: Of a UNet the weights' variant (``fp16``), or None.
        scale: Of a LoRA how much of it is added.
    """

    source: str
    path: str
    revision: str | None = None
    variant: str | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class CatalogueEntry:
    """One model.

    Attributes:
        checkpoint: A repository on the hub, or a folder in diffusers layout.
        revision: The commit on the hub that is used; None for a folder.
        variant: The weights' variant (``fp16``), or None.
        pipeline_class: The diffusers class that loads it.
        memory_gib: Device memory at the default size in half precision, without offload.
        commercial_use: Whether the weights' licence allows it.
        example_prompts: What the model makes well, for those who try it.
        tiers: Which values of ``quality`` it offers, and what they change; ``exact`` is always among them.
        unet: A UNet in the place of the checkpoint's: one that was distilled to few steps.
        lora: Low-rank changes of the UNet, as few-step LoRAs are.
    """

    name: str
    description: str
    checkpoint: str
    revision: str | None
    variant: str | None
    pipeline_class: str
    limits: Limits
    defaults: Defaults
    memory_gib: float
    licence: str
    commercial_use: bool
    schedulers: tuple[str, ...] = GENERAL_SCHEDULERS
    example_prompts: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = TIERS
    unet: Weights | None = None
    lora: Weights | None = None

    def tier(self, quality: Quality) -> Tier | None:
        return next((tier for tier in self.tiers if tier.quality == quality), None)

    def default_steps(self, tier: Tier) -> int:
        allowed = self.limits.num_inference_steps
        return max(allowed.minimum, round(self.defaults.num_inference_steps * tier.steps))

    @property
    def checkpoint_name(self) -> str:
        """The checkpoint as callers may see it: of a folder the last part of its path."""
        folder = Path(self.checkpoint)
        return folder.name if folder.is_absolute() else self.checkpoint
