from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from services.generation.thumbnail import make_thumbnail


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(64, 64, (64, 64)), (256, 256, (256, 256)), (320, 576, (512, 284)), (1024, 512, (256, 512))],
)
def test_a_still_in_webp(height, width, size):
    frame = np.full((height, width, 3), (200, 30, 40), np.uint8)
    with Image.open(BytesIO(make_thumbnail(frame))) as image:
        assert image.format == "WEBP"
        assert image.size == size
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 30, 40)).max() < 10


def test_equal_frames_give_equal_bytes():
    frame = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    assert make_thumbnail(frame) == make_thumbnail(frame)
