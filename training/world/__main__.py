"""Save a sheet of drawn clips as runs/world.png and print their captions: python -m training.world"""

from pathlib import Path

import numpy as np

from training.world.captions import describe
from training.world.clip import Clip, Scenery, draw, random_clip
from training.world.scenery import SCENERIES

SIZE = 64
COLUMNS = 8


def sheet_clips(rng: np.random.Generator) -> list[Clip]:
    """Each scenery once, then as many random clips of things."""
    sceneries: list[Clip] = [Scenery(name, int(rng.integers(1000))) for name in SCENERIES]
    things: list[Clip] = []
    while len(things) < 14:
        clip = random_clip(rng)
        if not isinstance(clip, Scenery):
            things.append(clip)
    return sceneries + things


def main() -> None:
    """Every row of the picture is one clip, in frames evenly spaced over it."""
    from PIL import Image

    rng = np.random.default_rng(0)
    rows = []
    for clip in sheet_clips(rng):
        frames = draw(clip, SIZE).frames
        rows.append(np.concatenate(list(frames[:: len(frames) // COLUMNS]), axis=1))
        print(describe(clip, rng))
    Path("runs").mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save("runs/world.png")


if __name__ == "__main__":
    main()
