"""Drawn clips of things, and what may befall their pixels on the way through a model."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.judging.tables import Case
from training.world.captions import describe
from training.world.clip import Objects, random_clip


def cases_of_things(count: int, seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    found: list[Case] = []
    while len(found) < count:
        clip = random_clip(rng)
        if isinstance(clip, Objects):
            found.append(Case(clip, describe(clip, rng)))
    return found


def perturbed(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Soft edges, noise, and shades that are a little off."""
    soft = ndimage.gaussian_filter(frames.astype(np.float32), (0, 0.7, 0.7, 0))
    shifted = soft + rng.uniform(-12, 12, size=3) + rng.normal(0, 6, frames.shape)
    return np.clip(np.rint(shifted), 0, 255).astype(np.uint8)
