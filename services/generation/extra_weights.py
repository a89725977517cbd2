"""A distilled UNet or a LoRA from elsewhere than a model's checkpoint. Safetensors alone."""

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet3DConditionModel
from huggingface_hub import hf_hub_download

from services.catalogue_entry import Weights
from services.execution.messages import GeneratorConfig
from services.generation.hub import fetch


def load_unet(weights: Weights, dtype: torch.dtype, config: GeneratorConfig) -> Any:
    """The UNet in ``weights.path``, on the CPU. Raises what diffusers raises."""
    _require_file(weights, f"{weights.path}/config.json")

    def load(local_files_only: bool) -> Any:
        return UNet3DConditionModel.from_pretrained(
            weights.source,
            subfolder=weights.path,
            revision=weights.revision,
            variant=weights.variant,
            dtype=dtype,
            use_safetensors=True,
            cache_dir=config.cache_dir,
            token=config.token,
            local_files_only=local_files_only,
        )

    return fetch(load, local_files_only=config.local_files_only)


def find_lora(weights: Weights, config: GeneratorConfig) -> Path:
    """The LoRA's file; downloaded first where it is on the hub and not here yet."""
    folder = _require_file(weights, weights.path)
    if folder is not None:
        return folder / weights.path

    def download(local_files_only: bool) -> Path:
        return Path(
            hf_hub_download(
                weights.source,
                weights.path,
                revision=weights.revision,
                cache_dir=config.cache_dir,
                token=config.token,
                local_files_only=local_files_only,
            )
        )

    return fetch(download, local_files_only=config.local_files_only)


def _require_file(weights: Weights, path: str) -> Path | None:
    """The folder of ``weights``; None where they are on the hub. Raises FileNotFoundError."""
    folder = Path(weights.source).expanduser()
    if not folder.is_absolute() and not folder.is_dir():
        return None
    if not (folder / path).is_file():
        raise FileNotFoundError(f"there is no {path} in {folder.name}")
    return folder
