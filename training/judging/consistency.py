"""Measures how steady a clip is over time: its background, and the colour and the area of its things."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.judging.objects import Sight


@dataclass(frozen=True)
class Consistency:
    """How much a clip changes that should not.

    flicker: mean change of a background's channel from one frame to the next, in levels of 0 to 255.
    colour: mean distance of things' colours to their mean over time, in the same levels of RGB.
    area: deviation of things' areas over time from an even growth, as a share of the area.
    The latter two are not a number in a clip without things.
    """

    flicker: float
    colour: float
    area: float


def consistency(clip: NDArray[np.uint8], sight: Sight) -> Consistency:
    """Measure a clip uint8[T, S, S, 3] in which the things of a sight were seen."""
    things = np.zeros(clip.shape[:3], bool)
    for track in sight.tracks:
        things |= track.coverage > 0
    reach = 2 * round(clip.shape[1] / 32) + 1
    things = ndimage.maximum_filter(things, (1, reach, reach))
    outside = ~(things[1:] | things[:-1])
    change = np.abs(np.diff(clip.astype(np.float32), axis=0))[outside]
    colours = [_spread(track.rgb) for track in sight.tracks]
    areas = [_unevenness(track.coverage.sum(axis=(1, 2), dtype=np.float64)) for track in sight.tracks]
    return Consistency(
        flicker=float(change.mean()) if change.size else float("nan"),
        colour=float(np.mean(colours)) if colours else float("nan"),
        area=float(np.mean(areas)) if areas else float("nan"),
    )


def _spread(rgb: NDArray[np.float32]) -> float:
    """Mean distance of colours float32[T, 3] to their mean, over the frames that have one."""
    return float(np.nanmean(np.linalg.norm(rgb - np.nanmean(rgb, axis=0), axis=1)))


def _unevenness(area: NDArray[np.float64]) -> float:
    """Standard deviation of the logarithm of areas float64[T], 0 where unseen, around a straight line."""
    seen = np.flatnonzero(area)
    logarithm = np.log(area[seen])
    return float((logarithm - np.polyval(np.polyfit(seen, logarithm, 1), seen)).std())
