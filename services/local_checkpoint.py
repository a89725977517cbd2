"""A checkpoint in a folder as a model: what its files say, and the reference model's values for the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.catalogue_entry import CatalogueEntry, Limits, Range

_LATENT = 8
"""Pixels along one side of a latent of the reference model; its pipeline takes multiples of 8 alone."""


def entry_of(folder: Path, reference: CatalogueEntry) -> CatalogueEntry:
    """The folder under its own name, in sizes of whole latents.

    The default size is the one that it was trained for, as in diffusers; the reference model's where the
    files do not say, or where no request may ask for it.
    """
    latent = _pixels_of_a_latent(folder)
    step = max(latent, _LATENT)
    side = Range(max(16, step), 1024, step)
    height, width = (count * latent for count in _trained_latents(folder))
    if height not in side or width not in side:
        height, width = reference.defaults.height, reference.defaults.width
    return CatalogueEntry(
        name=folder.name,
        description=f"A local checkpoint in {folder.name}/.",
        checkpoint=str(folder),
        revision=None,
        variant="fp16" if any(folder.glob("unet/*.fp16.*")) else None,
        pipeline_class=reference.pipeline_class,
        limits=Limits(
            width=side, height=side, num_frames=Range(1, 128), max_pixels=reference.limits.max_pixels
        ),
        defaults=replace(reference.defaults, height=height, width=width),
        memory_gib=reference.memory_gib,
        licence="unknown",
        commercial_use=False,
        example_prompts=reference.example_prompts,
    )


def _trained_latents(folder: Path) -> tuple[int, int]:
    """Height and width of what the UNet was trained for; 0 where its file does not say."""
    match _config(folder / "unet").get("sample_size"):
        case int() as side:
            return side, side
        case [int() as height, int() as width]:
            return height, width
    return 0, 0


def _pixels_of_a_latent(folder: Path) -> int:
    """Along one side, diffusers' ``vae_scale_factor``; 0 where the VAE's file does not say."""
    match _config(folder / "vae").get("block_out_channels"):
        case [_, *halvings]:
            return 1 << len(halvings)
    return 0


def _config(network: Path) -> dict[str, Any]:
    """Empty where there is none: what is missing or damaged is told when the checkpoint is loaded."""
    try:
        config = json.loads((network / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
