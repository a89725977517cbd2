"""A checkpoint in a folder as a model: what its files say, and the reference model's values for the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.catalogue_entry import CatalogueEntry, Limits, Range

_SIDE = Range(16, 1024, 8)


def entry_of(folder: Path, reference: CatalogueEntry) -> CatalogueEntry:
    """The folder under its own name. The default size is the one that it was trained for, as in diffusers."""
    height, width = _trained_size(folder) or (reference.defaults.height, reference.defaults.width)
    return CatalogueEntry(
        name=folder.name,
        description=f"A local checkpoint in {folder.name}/.",
        checkpoint=str(folder),
        revision=None,
        variant="fp16" if any(folder.glob("unet/*.fp16.*")) else None,
        pipeline_class=reference.pipeline_class,
        limits=Limits(
            width=_SIDE, height=_SIDE, num_frames=Range(1, 128), max_pixels=reference.limits.max_pixels
        ),
        defaults=replace(reference.defaults, height=height, width=width),
        memory_gib=reference.memory_gib,
        licence="unknown",
        commercial_use=False,
        example_prompts=reference.example_prompts,
    )


def _trained_size(folder: Path) -> tuple[int, int] | None:
    """Height and width in pixels; None where the files do not say, or what no request may ask.

    ``sample_size`` of the UNet is in latents, of which the VAE makes ``2 ** (len(block_out_channels) - 1)``
    pixels each (diffusers, ``TextToVideoSDPipeline.__call__`` and ``vae_scale_factor``).
    """
    match _config(folder / "unet").get("sample_size"), _config(folder / "vae").get("block_out_channels"):
        case (int() as side, [*blocks]):
            latents = (side, side)
        case ([int() as height, int() as width], [*blocks]):
            latents = (height, width)
        case _:
            return None
    height, width = (side * 2 ** (len(blocks) - 1) for side in latents)
    return (height, width) if height in _SIDE and width in _SIDE else None


def _config(network: Path) -> dict[str, Any]:
    """Empty where there is none: what is missing or damaged is told when the checkpoint is loaded."""
    try:
        config = json.loads((network / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
