"""How large a checkpoint's weights are, read from the headers of its files."""

from math import prod
from pathlib import Path

import torch
from safetensors import safe_open


def weight_bytes(folder: Path, variant: str | None, dtype: torch.dtype) -> int:
    """Memory that the safetensors of a checkpoint take in ``dtype``; 0 where it has none.

    Raises SafetensorError for a damaged file.
    """
    files = (path for path in folder.glob("*/*.safetensors") if _variant(path) == variant)
    return sum(_elements(path) for path in files) * dtype.itemsize


def _variant(path: Path) -> str | None:
    """``fp16`` of ``model.fp16.safetensors`` and of ``model.fp16-00001-of-00002.safetensors``."""
    _, dot, variant = path.stem.partition(".")
    return variant.partition("-")[0] if dot else None


def _elements(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
