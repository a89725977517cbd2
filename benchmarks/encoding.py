"""What turning frames into an MP4 takes, beside diffusers' ``export_to_video``.

    python -m benchmarks.encoding [--shapes 8x64x64,16x256x256,24x320x576,64x256x256] [--rounds 7]

Both get the frames in the form that their pipeline has them in: float32 from 0 to 1 for ``export_to_video``,
uint8 for ours, in the parts that are decoded at once. The pictures have the spectrum of photographs, move,
and come from a fixed seed. PSNR compares what PyAV decodes with what went in.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from diffusers.utils import export_to_video
from scipy import ndimage

from benchmarks.measuring import as_table, psnr, say, spread, take_turns
from services.generation.decoding import Frames
from services.generation.encoding import EncoderPool, VideoEncoder

SHAPES = "8x64x64,16x256x256,24x320x576,64x256x256"
_FPS = 8
_CHUNK = 8


def make_frames(count: int, height: int, width: int, *, seed: int = 0) -> Frames:
    """A disc of one texture over another that drifts: amplitudes fall with frequency to the power of 1.2."""
    random = np.random.default_rng(seed)
    margin = 64
    size = height + margin, width + margin
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    frequency[0, 0] = np.inf

    def texture() -> npt.NDArray[np.float64]:
        waves = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
        field = np.fft.irfft2(waves / frequency**1.2, size)
        return np.asarray(field / field.std())

    light, blue, red = texture(), texture(), texture()
    colours = [light + 0.5 * red, light - 0.2 * (blue + red), light + 0.5 * blue]
    behind = 120 + 40 * np.stack(colours, axis=-1)
    before = 100 + 40 * texture()[:height, :width, None]
    rows, columns = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        drift = 0.6 * index % margin, 1.7 * index % margin
        picture = ndimage.shift(behind, (-drift[0], -drift[1], 0), order=1)[:height, :width]
        centre = width * (0.2 + 0.6 * index / count)
        disc = (columns - centre) ** 2 + (rows - height / 2) ** 2 < (height / 4) ** 2
        frames[index] = np.where(disc[..., None], before, picture).round().clip(0, 255)
    return frames


def decode(video: bytes) -> Frames:
    with av.open(BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def export(frames: list[npt.NDArray[np.float32]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        export_to_video(frames, str(path), fps=_FPS)
        return path.read_bytes()


def encode(frames: Frames, pool: EncoderPool | None) -> bytes:
    _, height, width, _ = frames.shape
    with VideoEncoder(width, height, _FPS, pool=pool) as encoder:
        for start in range(0, len(frames), _CHUNK):
            encoder.write(frames[start : start + _CHUNK])
        return encoder.finish()


def measure(count: int, height: int, width: int, rounds: int) -> list[dict[str, str]]:
    """A row a way; ours with a process that waits, as in the service, and with a new one."""
    frames = make_frames(count, height, width)
    as_floats = list(frames.astype(np.float32) / 255)
    pool = EncoderPool()
    made: dict[str, bytes] = {}

    def way(name: str, make: Callable[[], bytes]) -> Callable[[], None]:
        def run() -> None:
            made[name] = make()

        return run

    ways = {
        "export_to_video": way("export_to_video", lambda: export(as_floats)),
        "ours": way("ours", lambda: encode(frames, pool)),
        "ours, a new process": way("ours, a new process", lambda: encode(frames, None)),
    }
    for run in ways.values():
        run()
    seconds = take_turns(ways, rounds)
    stock = statistics.median(seconds["export_to_video"])
    return [
        {
            "shape": f"{count}×{height}×{width}",
            "way": name,
            "ms": f"{1000 * statistics.median(each):.1f}",
            "± %": f"{100 * spread(each):.0f}",
            "least ms": f"{1000 * min(each):.1f}",
            "of export_to_video": f"{statistics.median(each) / stock:.2f}",
            "of the least": f"{min(each) / min(seconds['export_to_video']):.2f}",
            "kB": f"{len(made[name]) / 1000:.0f}",
            "PSNR dB": f"{psnr(frames, decode(made[name])[:, :height, :width]):.2f}",
        }
        for name, each in seconds.items()
    ]


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", default=SHAPES, help=f"frames, height, width: {SHAPES}")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args(given)
    for shape in arguments.shapes.split(","):
        count, height, width = map(int, shape.split("x"))
        say(as_table(measure(count, height, width, arguments.rounds)))


if __name__ == "__main__":
    main()
