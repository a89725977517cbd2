"""Small real MP4s for tests, written by PyAV."""

import tempfile
from pathlib import Path

import av
import numpy as np


def make_clip(
    *,
    frames: int = 8,
    size: int = 64,
    fps: int = 8,
    codec: str = "libx264",
    faststart: bool = True,
    pix_fmt: str = "yuv420p",
) -> bytes:
    """An MP4 of a square moving over ``frames`` frames of ``size`` × ``size`` pixels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        options = {"movflags": "+faststart"} if faststart else {}
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=fps)
            stream.width = stream.height = size
            stream.pix_fmt = pix_fmt
            for index in range(frames):
                image = np.zeros((size, size, 3), np.uint8)
                image[8:24, index : index + 16] = (255, 0, 0)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()
