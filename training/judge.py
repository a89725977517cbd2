"""Tells from a clip's pixels alone what it shows: the object's colour, shape and motion, the background."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from training.drawing import BACKGROUNDS, COLOURS, NUM_FRAMES, SHAPES, SIZE, STEP, coverage

MIN_AREA = 40
"""Pixels that an object has at the least; the smallest drawn one has 95."""
CONTRAST = 60.0
"""Distance in RGB from the background at which a pixel is the object's."""
MOVED = 0.5 * STEP * (NUM_FRAMES - 1)
"""Pixels between first and last frame from which on an object counts as moving: half of what is drawn."""


@dataclass(frozen=True)
class Verdict:
    """What the judge saw; None for what it could not tell."""

    colour: str | None
    shape: str | None
    direction: str | None
    background: str


def judge(clip: NDArray[np.uint8]) -> Verdict:
    """Judge a clip uint8[T, SIZE, SIZE, 3] by its pixels."""
    background = np.median(clip.reshape(-1, 3), axis=0)
    masks = np.linalg.norm(clip - background, axis=-1) > CONTRAST
    seen = [frame for frame, mask in enumerate(masks) if mask.sum() >= MIN_AREA]
    name = _nearest(background, BACKGROUNDS)
    if len(seen) < len(clip) - 1:
        return Verdict(None, None, None, name)
    object_pixels = np.concatenate([clip[frame][_interior(masks[frame])] for frame in seen])
    return Verdict(
        colour=_nearest(np.median(object_pixels, axis=0), COLOURS) if len(object_pixels) else None,
        shape=_shape(masks[seen]),
        direction=_direction(_centre(masks[seen[0]]), _centre(masks[seen[-1]])),
        background=name,
    )


def _nearest(colour: NDArray[np.float64], palette: dict[str, tuple[int, int, int]]) -> str:
    return min(palette, key=lambda name: float(np.linalg.norm(colour - palette[name])))


def _interior(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its outermost pixels, whose colours are mixed."""
    inner = mask.copy()
    for axis, shift in product((0, 1), (1, -1)):
        inner &= np.roll(mask, shift, axis)
    return inner


def _centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _direction(first: NDArray[np.float64], last: NDArray[np.float64]) -> str | None:
    """The direction of a displacement in pixels; None where it is neither clearly one of them nor still."""
    x, y = last - first
    if max(abs(x), abs(y)) < MOVED / 2:
        return "still"
    if max(abs(x), abs(y)) < MOVED or min(abs(x), abs(y)) > 0.5 * max(abs(x), abs(y)):
        return None
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "up" if y < 0 else "down"


def _shape(masks: NDArray[np.bool_]) -> str | None:
    """The shape whose drawing, at the same area, overlaps most with the masks, summed over the frames."""
    votes = dict.fromkeys(SHAPES, 0.0)
    for mask in [mask for mask in masks if not _is_cut(mask)] or masks:
        centred = _centred(mask)
        for shape in SHAPES:
            votes[shape] += max(
                _overlap(centred, template) for template in _templates(shape, int(mask.sum()))
            )
    best = max(votes, key=lambda shape: votes[shape])
    return best if votes[best] > 0 else None


def _is_cut(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _centred(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its centre of mass moved to the middle."""
    x, y = np.rint(SIZE / 2 - 0.5 - _centre(mask)).astype(int)
    return np.roll(mask, (y, x), axis=(0, 1))


@cache
def _templates(shape: str, area: int) -> list[NDArray[np.bool_]]:
    """Drawings of a shape whose areas are nearest to one given in pixels, centred by mass."""
    drawings = [coverage(shape, radius, SIZE // 2, SIZE // 2) > 0.5 for radius in range(4, 24)]
    drawings.sort(key=lambda drawing: abs(int(drawing.sum()) - area))
    return [_centred(drawing) for drawing in drawings[:2]]


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())
