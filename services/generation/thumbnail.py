"""A still of a clip."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

_LONG_SIDE = 512


def make_thumbnail(frame: npt.NDArray[np.uint8]) -> bytes:
    """WebP of an RGB frame ``[H, W, 3]``, its longer side at most 512 pixels."""
    image = Image.fromarray(frame)
    image.thumbnail((_LONG_SIDE, _LONG_SIDE))
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
