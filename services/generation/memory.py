"""Where a model goes: device, number format, offload, and what to do when memory runs out."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from services.catalogue_entry import CatalogueEntry
from services.execution.messages import GeneratorConfig

GIB = 2**30
Offload = Literal["none", "model", "sequential"]

_SMALL_MODEL_GIB = 1.0
# Of the memory a whole model needs, what is left to hold when only its largest part is on the device.
_LARGEST_PART = 0.7
# The VAE's peak for a whole chunk of frames is about this much on top of the weights.
_DECODE_GIB = 2.0
_CHUNK_PIXELS = 8 * 256 * 256
_CHUNK_PIXELS_CPU = 256 * 256


@dataclass(frozen=True)
class Placement:
    """How one model lies on the device.

    Attributes:
        offload: accelerate's CPU offload: ``none``, by ``model`` (text encoder, UNet, VAE take turns), or
            ``sequential`` (layer by layer: least memory, much slower).
        vae_slicing: Whether frames are decoded one at a time.
    """

    device: torch.device
    dtype: torch.dtype
    offload: Offload
    vae_slicing: bool

    def __str__(self) -> str:
        number_format = str(self.dtype).removeprefix("torch.")
        slicing = "on" if self.vae_slicing else "off"
        return f"{self.device} in {number_format}, offload {self.offload}, VAE slicing {slicing}"

    @property
    def decode_pixels(self) -> int:
        """Pixels that are decoded at once."""
        if self.vae_slicing:
            return 1
        return _CHUNK_PIXELS if self.device.type == "cuda" else _CHUNK_PIXELS_CPU


def choose_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``. Raises ValueError for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch {torch.__version__} finds no CUDA device")
    device = torch.device(name)
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise ValueError(
            f"device {name!r} was asked for, but there are {torch.cuda.device_count()} CUDA devices"
        )
    return torch.device("cuda", index)


def describe_device(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def choose_dtype(name: str, device: torch.device, entry: CatalogueEntry) -> torch.dtype:
    """``auto``: float16 on CUDA, bfloat16 on a CPU that computes in it, else float32; small models float32.

    Measured once, on two busy cores with AVX-512 BF16, for the reference model at 16 frames of 256×256: a
    step took 57 s in bfloat16 and 149 s in float32, the VAE 32 s and 78 s, the peak was 6.4 GiB and 9.2 GiB.
    """
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    if entry.memory_gib <= _SMALL_MODEL_GIB:
        return torch.float32
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if has_bfloat16() else torch.float32


def has_bfloat16() -> bool:
    """Whether the CPU computes in it; others only store it, and are slower than in float32."""
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def needed_bytes(entry: CatalogueEntry, dtype: torch.dtype) -> int:
    """Device memory for one clip of default size, weights included."""
    return int(entry.memory_gib * GIB * dtype.itemsize / torch.float16.itemsize)


def choose_placement(
    entry: CatalogueEntry, config: GeneratorConfig, device: torch.device, *, free: int | None = None
) -> Placement:
    """Fill in what is ``auto`` by the memory that is free: now, or ``free`` bytes."""
    dtype = choose_dtype(config.dtype, device, entry)
    needed = needed_bytes(entry, dtype)
    free = free_bytes(device) if free is None else free
    offload: Offload = "none"
    if device.type == "cuda":
        if config.offload in ("none", "model", "sequential"):
            offload = config.offload  # type: ignore[assignment]
        elif free < needed:
            offload = "model" if free >= needed * _LARGEST_PART else "sequential"
    slicing = config.vae_slicing == "on"
    if config.vae_slicing == "auto" and device.type == "cuda":
        slicing = offload != "none" or free < needed + _DECODE_GIB * GIB
    return Placement(device, dtype, offload, slicing)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def release_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    reasons = ("can't allocate memory", "CUDA out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(reason in str(error) for reason in reasons)
