"""Finds the things of a clip: one for each colour that stands out from the background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.world.palette import COLOURS

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

CONTRAST = 65.0
"""Distance in RGB from the background at which a pixel can be a thing's; drawn ones keep MIN_CONTRAST."""
PLAIN = 0.8
"""A pixel that has at least this part of the contrast around it is wholly a thing's, not its edge."""
LEAST_AREA = 0.006
"""Share of the picture that a thing covers at the least; the smallest drawn one covers 0.011."""
LEAST_SHARE = 0.06
"""Share of all things' pixels that a colour has at the least."""
LEAST_PRESENCE = 0.75
"""Share of the frames that a thing is seen in at the least."""


@dataclass(frozen=True)
class Track:
    """One thing through T frames: its name in COLOURS, how much of each pixel it covers, float32[T, S, S]
    from 0 to 1, and its median colour in each frame, float32[T, 3], not a number where it is not to be seen.
    """

    colour: str
    coverage: Floats
    rgb: Floats


def find_tracks(clip: NDArray[np.uint8], behind: Floats) -> tuple[list[Track], int]:
    """The things of a clip uint8[T, S, S, 3] in front of a picture float32[S, S, 3], and the number of pieces
    that most frames show: as many as things, unless one colour is there twice.
    """
    beyond = clip - behind
    core = _core(_contrast(clip, behind))
    colours = np.full(core.shape, -1)
    colours[core] = _nearest_colours(clip[core])
    kept = _keep_colours(colours)
    owner = _nearest_owner(colours, reach=clip.shape[1] / 20)
    tracks, pieces = [], np.zeros(len(clip), int)
    for colour in kept:
        whole = np.median(clip[colours == colour], axis=0) - behind
        part = (beyond * whole).sum(axis=-1) / np.maximum((whole**2).sum(axis=-1), 1)
        coverage = np.clip(part, 0, 1) * (owner == colour)
        for frame in range(len(clip)):
            coverage[frame], count = _largest_piece(coverage[frame])
            pieces[frame] += count
        if coverage.any(axis=(1, 2)).mean() >= LEAST_PRESENCE:
            rgb = [_median(frame[picture == colour]) for frame, picture in zip(clip, colours, strict=True)]
            tracks.append(Track(list(COLOURS)[colour], coverage.astype(np.float32), np.array(rgb)))
    return tracks, int(np.bincount(pieces).argmax())


def _contrast(clip: NDArray[np.uint8], behind: Floats) -> Floats:
    """Distance of each pixel from the background, float32[T, S, S], a little above or below it as well: a
    horizon may be off by a pixel or two.
    """
    size = clip.shape[1]
    rows = np.arange(size)
    shifts = [round(shift * size / 64) for shift in (-2, -1, 0, 1, 2)]
    distances = [
        np.linalg.norm(clip - behind[np.clip(rows + shift, 0, size - 1)], axis=-1) for shift in shifts
    ]
    nearest: Floats = np.min(distances, axis=0)
    return nearest


def _core(contrast: Floats) -> Mask:
    """Pixels float32[T, S, S] that are wholly a thing's."""
    reach = 2 * round(contrast.shape[1] / 32) + 1
    around: Floats = ndimage.maximum_filter(contrast, (1, reach, reach))
    return (contrast > CONTRAST) & (contrast > PLAIN * around)


def _nearest_colours(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """uint8[N, 3] to places in COLOURS, int64[N]."""
    palette = np.array(list(COLOURS.values()), np.float32)
    distances: Floats = np.linalg.norm(pixels[:, None] - palette, axis=-1)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest


def _keep_colours(colours: NDArray[np.int64]) -> list[int]:
    """The colours of things, of all that pixels int64[T, S, S] have. Each pixel takes the colour that most
    have around it, for one that lies scattered within another is a shade of it; the rest are set to -1.
    """
    around = 2 * round(colours.shape[1] / 32) + 1
    core = colours >= 0
    found = [colour for colour in range(len(COLOURS)) if (colours == colour).any()]
    if not found:
        return []
    votes = [
        ndimage.uniform_filter((colours == colour).astype(np.float32), (1, around, around))
        for colour in found
    ]
    colours[core] = np.array(found)[np.argmax(votes, axis=0)[core]]
    kept = [colour for colour in found if (colours == colour).sum() >= LEAST_SHARE * core.sum()]
    colours[~np.isin(colours, kept)] = -1
    return sorted(kept, key=lambda colour: -int((colours == colour).sum()))


def _nearest_owner(colours: NDArray[np.int64], reach: float) -> NDArray[np.int64]:
    """The colour of the nearest pixel that has one, int64[T, S, S]; -1 where it is beyond reach in pixels."""
    owner = np.full_like(colours, -1)
    for frame, picture in enumerate(colours):
        if (picture >= 0).any():
            distance, (rows, columns) = ndimage.distance_transform_edt(picture < 0, return_indices=True)
            owner[frame] = np.where(distance <= reach, picture[rows, columns], -1)
    return owner


def _largest_piece(coverage: Floats) -> tuple[Floats, int]:
    """Coverage float[S, S] of the largest piece alone, none if it is too small; and the number of pieces."""
    labels, _ = ndimage.label(coverage > 0.5, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    count = int((areas >= LEAST_AREA * coverage.size).sum())
    if count == 0:
        return np.zeros_like(coverage), 0
    around = ndimage.binary_dilation(labels == areas.argmax(), iterations=round(len(coverage) / 32))
    return coverage * around, count


def _median(pixels: NDArray[np.uint8]) -> Floats:
    return np.median(pixels, axis=0).astype(np.float32) if len(pixels) else np.full(3, np.nan, np.float32)
