"""Tells what is behind the things of a clip, and what the picture would be without them."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.world.backgrounds import BACKGROUNDS, LAYOUTS, background

Floats = NDArray[np.float32]

FAR = 60.0
"""Distance in RGB from which on a pixel is not the background's, however far it is."""
LEAST_SHARE = 0.5
"""How much of all frames a background covers at the least."""


def find_background(clip: NDArray[np.uint8]) -> tuple[str | None, Floats]:
    """The name in BACKGROUNDS of what is behind the things of a clip uint8[T, S, S, 3], None where it is none
    of them; and the picture without things, float32[S, S, 3].
    """
    middle = np.median(clip, axis=0).astype(np.float32)
    names, pictures = _pictures(clip.shape[1])
    distances = np.minimum(np.linalg.norm(middle - pictures, axis=-1), FAR)
    best = int(distances.mean(axis=(1, 2)).argmin())
    share = float((np.linalg.norm(clip - pictures[best], axis=-1) < FAR).mean())
    return names[best] if share >= LEAST_SHARE else None, _fitted(pictures[best], clip)


def _fitted(picture: Floats, clip: NDArray[np.uint8]) -> Floats:
    """The picture in the shades of the clip: they may be off by a little, in other ways here than there."""
    beyond = clip - picture
    close = np.linalg.norm(beyond, axis=-1, keepdims=True) < FAR
    sigma = clip.shape[1] / 10
    offset = ndimage.gaussian_filter((beyond * close).mean(axis=0), (sigma, sigma, 0))
    weight = ndimage.gaussian_filter(close.mean(axis=0, dtype=np.float32), (sigma, sigma, 0))
    fitted: Floats = picture + (offset / np.maximum(weight, 1e-3)).astype(np.float32)
    return fitted


@cache
def _pictures(size: int) -> tuple[tuple[str, ...], Floats]:
    """All that can be behind things: names and pictures float32[N, size, size, 3], each only once."""
    found = {
        background(name, size, layout).tobytes(): (name, background(name, size, layout))
        for name in BACKGROUNDS
        for layout in range(LAYOUTS)
    }
    names, pictures = zip(*found.values(), strict=True)
    return names, np.stack(pictures).astype(np.float32)
