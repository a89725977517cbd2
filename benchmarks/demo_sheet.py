"""Draws the README's picture: frames of clips that the demo checkpoint makes, each row with its prompt.

python -m benchmarks.demo_sheet docs/demo.png
"""

import argparse
from io import BytesIO
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

from models.video import VideoParams
from services.catalogue import Catalogue
from services.execution.messages import GenerationRequest, GeneratorConfig
from services.generation.generator import Generator

PROMPTS = (
    "a red circle moving left",
    "a blue star growing on a white background",
    "a yellow triangle bouncing on grass",
    "a big white crescent moving up and to the right on grass",
    "a peaceful sunset over mountain ranges",
    "a futuristic city with flying vehicles",
    "a coral reef under water",
    "waves rolling over the sea",
)
SEED = 7
EVERY = 2
"""Which frames are shown: each second one."""
GAP = 6
CAPTION_HEIGHT = 26


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="the PNG to write")
    output: Path = parser.parse_args().output
    rows = [frames_of(make_clip(prompt)) for prompt in PROMPTS]
    output.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(rows, PROMPTS).save(output, optimize=True)
    print(f"wrote {output}")


def make_clip(prompt: str) -> bytes:
    """The MP4 that the service would make for ``prompt`` with the demo model's defaults."""
    entry = next(entry for entry in Catalogue.create("demo") if entry.name == "demo")
    defaults = entry.defaults
    params = VideoParams(
        prompt=prompt,
        negative_prompt=defaults.negative_prompt,
        width=defaults.width,
        height=defaults.height,
        num_frames=defaults.num_frames,
        fps=defaults.fps,
        num_inference_steps=defaults.num_inference_steps,
        guidance_scale=defaults.guidance_scale,
        scheduler=defaults.scheduler,
        seed=SEED,
    )
    generator = Generator(GeneratorConfig(device="cpu"))
    return generator.generate(GenerationRequest("sheet", entry, params), lambda _: None, lambda: False).video


def frames_of(mp4: bytes) -> list[Image.Image]:
    with av.open(BytesIO(mp4)) as container:
        return [frame.to_image() for frame in container.decode(video=0)][::EVERY]


def draw_sheet(rows: list[list[Image.Image]], captions: tuple[str, ...]) -> Image.Image:
    """One row a clip, its prompt above it, frames from left to right."""
    width, height = rows[0][0].size
    row_height = CAPTION_HEIGHT + height + GAP
    sheet = Image.new("RGB", (GAP + len(rows[0]) * (width + GAP), GAP + len(rows) * row_height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for index, (frames, caption) in enumerate(zip(rows, captions, strict=True)):
        top = GAP + index * row_height
        draw.text((GAP, top), caption, fill="black", font=font)
        for column, frame in enumerate(frames):
            sheet.paste(frame, (GAP + column * (width + GAP), top + CAPTION_HEIGHT))
    return sheet


if __name__ == "__main__":
    main()
