"""Teaches the UNet which frame is which, and what is where in each: for training only.

Nothing tells diffusers' UNet3D its frames apart but the zeros beyond the first and the last; and what the
text says of a motion helps only a network that knows where in the clip a frame is, and where in the picture a
cell. None of the three is worth anything without the others, so for thousands of steps none is learnt; nor is
which of two colours goes with which of two shapes. Heads that have to tell all this from what the UNet holds
on its way give it a reason.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet3DConditionModel
from numpy.typing import NDArray
from torch import nn

from training.networks import NUM_FRAMES
from training.world.clip import Clip, Objects
from training.world.objects import moves_of, tracks_of
from training.world.palette import COLOURS
from training.world.shapes import SHAPES

TARGETS = 5
"""Numbers a frame: see ``motion_of``."""
KINDS = (*COLOURS, *SHAPES)
"""What is looked for in every cell."""


class Heads(nn.Module):
    """Reads a clip's motion in the UNet's middle; and one block later where each colour and each shape is.

    Args:
        channels: How wide the UNet is there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.motion = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, TARGETS))
        self.places = nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, len(KINDS), 1))
        weight, bias = self.places[-1].parameters()
        nn.init.zeros_(weight)
        nn.init.constant_(bias, -4.0)  # Most cells hold none.
        self._middle = self._later = torch.empty(0)

    @contextmanager
    def listen(self, unet: UNet3DConditionModel) -> Iterator[None]:
        """Keep what the UNet holds in the pass that is made meanwhile, for ``loss``."""

        def keep_middle(_module: nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            self._middle = output.mean((2, 3)).float()

        def keep_later(_module: nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            self._later = output.float()

        hooks = [
            unet.mid_block.register_forward_hook(keep_middle),
            unet.up_blocks[0].register_forward_hook(keep_later),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def loss(self, clips: Sequence[Clip], captioned: Sequence[bool]) -> torch.Tensor:
        """Squared error of the motion, where a caption tells it, plus cross entropy of the places.

        Args:
            clips: The B clips of the pass.
            captioned: Whether a clip's caption is not empty.
        """
        device = self._middle.device
        read = self.motion(self._middle).unflatten(0, (len(clips), NUM_FRAMES))
        targets = torch.from_numpy(np.stack([motion_of(clip) for clip in clips])).to(device)
        counts = torch.ones(len(clips), 1, TARGETS)
        for index, (clip, told) in enumerate(zip(clips, captioned, strict=True)):
            if not told or not isinstance(clip, Objects):
                counts[index, :, 1:] = 0
        motion: torch.Tensor = ((read - targets).square() * counts.to(device)).mean()
        seen = self.places(self._later)
        places = torch.from_numpy(np.concatenate([places_of(clip, seen.shape[-1]) for clip in clips])).to(
            device
        )
        entropy = F.binary_cross_entropy_with_logits(seen, places, reduction="none")
        return motion + entropy.sum(1).mean()


def motion_of(clip: Clip) -> NDArray[np.float32]:
    """How far each frame is in its clip, and its motion in it: float32[NUM_FRAMES, TARGETS], about -2 to 2.

    The columns are the time, from -1 to 1; how far right and down from the start, in quarters of the picture;
    how much larger, in half doublings; how far turned, in half turns. A scenery has but the time.
    """
    time = np.linspace(-1, 1, NUM_FRAMES)
    if not isinstance(clip, Objects):
        return np.stack([time, *np.zeros((TARGETS - 1, NUM_FRAMES))], axis=1).astype(np.float32)
    moves = moves_of(clip, NUM_FRAMES)
    columns = (time, *4 * moves.offset.T, 2 * np.log2(moves.scale), moves.angle / np.pi)
    return np.stack(columns, axis=1).astype(np.float32)


def places_of(clip: Clip, cells: int) -> NDArray[np.float32]:
    """Which cells of a grid hold what: float32[NUM_FRAMES, len(KINDS), cells, cells] of 0 and 1.

    A thing is taken for a disc here. In a scenery nothing is looked for.
    """
    held = np.zeros((NUM_FRAMES, len(KINDS), cells, cells), np.float32)
    if isinstance(clip, Objects):
        middles = (np.arange(cells) + 0.5) / cells
        for track in tracks_of(clip, NUM_FRAMES):
            x, y = (middles - track.centre[:, axis, None] for axis in (0, 1))
            distance = np.hypot(x[:, None, :], y[:, :, None])
            inside = distance < track.radius[:, None, None] + 0.5 / cells
            for kind in (track.thing.colour, track.thing.shape):
                held[:, KINDS.index(kind)] = np.maximum(held[:, KINDS.index(kind)], inside)
    return held
