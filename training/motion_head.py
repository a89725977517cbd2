"""Teaches the UNet which frame is which, and where a described motion is in each: for training only.

Nothing tells diffusers' UNet3D its frames apart but the zeros beyond the first and the last; and what the
text says of a motion helps only a network that knows where in the clip a frame is. Neither is worth anything
without the other, so for thousands of steps neither is learnt. A head that has to tell both from what the
middle of the network holds gives it a reason.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers import UNet3DConditionModel
from numpy.typing import NDArray
from torch import nn

from training.networks import NUM_FRAMES
from training.world.clip import Clip, Objects
from training.world.objects import moves_of

TARGETS = 5
"""Numbers a frame: see ``places_of``."""


class MotionHead(nn.Module):
    """A linear reading of the UNet's middle, frame by frame, averaged over places.

    Args:
        channels: How wide the middle is.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, TARGETS))
        self._features = torch.empty(0)

    @contextmanager
    def listen(self, unet: UNet3DConditionModel) -> Iterator[None]:
        """Keep what the UNet's middle holds in the pass that is made meanwhile, for ``loss``."""

        def keep(_module: nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            self._features = output.mean((2, 3)).float()

        hook = unet.mid_block.register_forward_hook(keep)
        try:
            yield
        finally:
            hook.remove()

    def loss(self, clips: Sequence[Clip], captioned: Sequence[bool]) -> torch.Tensor:
        """Mean squared error; where no caption tells the motion, of the frame's place in the clip alone."""
        read = self.read(self._features).unflatten(0, (len(clips), NUM_FRAMES))
        targets = torch.from_numpy(np.stack([places_of(clip) for clip in clips])).to(read.device)
        counts = torch.ones(len(clips), 1, TARGETS)
        for place, (clip, said) in enumerate(zip(clips, captioned, strict=True)):
            if not said or not isinstance(clip, Objects):
                counts[place, :, 1:] = 0
        errors: torch.Tensor = (read - targets).square() * counts.to(read.device)
        return errors.mean()


def places_of(clip: Clip) -> NDArray[np.float32]:
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
