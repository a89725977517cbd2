"""How many clips are made at once."""

import torch

from services.execution.messages import GenerationRequest
from services.generation.memory import Placement, free_bytes, needed_bytes

_MOST_ON_CUDA = 2


def most_together(request: GenerationRequest, placement: Placement, limit: int | None) -> int:
    """So many clips of the request's kind: at most ``limit``, and no more than there is memory for.

    None is for what suits the device: a CPU, whose cores one clip keeps busy, and a device that fetches the
    weights anew for every call make one after the other.

    Each clip is counted with the catalogue's figure for a clip of default size, weights included, which is
    more than it needs.
    """
    if limit is None:
        limit = _MOST_ON_CUDA if placement.device.type == "cuda" and placement.offload == "none" else 1
    if limit == 1:
        return 1
    params, defaults = request.params, request.model.defaults
    pixels = params.width * params.height * params.num_frames
    usual = defaults.width * defaults.height * defaults.num_frames
    each = needed_bytes(request.model, placement.dtype) * pixels / usual
    return max(1, min(limit, int(_free_for_clips(placement.device) / each)))


def _free_for_clips(device: torch.device) -> int:
    """What torch keeps for itself on a device can be used again."""
    kept = 0
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free_bytes(device) + kept
