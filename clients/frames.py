"""Clips and pictures as tkinter shows them."""

from dataclasses import dataclass, field
from io import BytesIO

import av


@dataclass(frozen=True)
class Film:
    """A clip's frames as PPM pictures of equal size, and how many a second."""

    frames: tuple[bytes, ...] = field(repr=False)
    fps: float


def decode(media: bytes, largest: int) -> Film:
    """An MP4, or a picture as a film of one frame, scaled so that the longer side has ``largest`` pixels.

    Raises av.FFmpegError.
    """
    with av.open(BytesIO(media)) as container:
        stream = container.streams.video[0]
        scale = largest / max(stream.width, stream.height)
        width, height = round(stream.width * scale), round(stream.height * scale)
        frames = tuple(
            _ppm(frame.reformat(width=width, height=height, format="rgb24"))
            for frame in container.decode(stream)
        )
        return Film(frames, float(stream.average_rate or 8))


def _ppm(frame: av.VideoFrame) -> bytes:
    plane = frame.planes[0]
    data, row = bytes(plane), 3 * frame.width
    # FFmpeg pads its rows.
    rows = (data[start : start + row] for start in range(0, plane.line_size * frame.height, plane.line_size))
    return b"P6 %d %d 255\n" % (frame.width, frame.height) + b"".join(rows)
