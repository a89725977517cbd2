"""``python -m services.generation.conversion FOLDER``: pickled weights of a checkpoint to safetensors.

Writes a safetensors file beside each pickled one of a folder in diffusers layout, with the same tensors in
the same number format; nothing is deleted. The pickles are read by torch's restricted loader, which makes
tensors and runs no code of theirs.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

PICKLED = "*.bin"
SAFE = "*.safetensors"


class CannotConvert(Exception):
    """What is wrong with which file."""


def pickled_parts(folder: Path) -> list[str]:
    """The parts of a checkpoint (``unet``, ``vae``…) that have pickled weights and no others."""
    parts = sorted(path for path in folder.iterdir() if path.is_dir())
    return [part.name for part in parts if any(part.glob(PICKLED)) and not any(part.glob(SAFE))]


def convert(folder: Path) -> list[Path]:
    """Convert every part that has no safetensors; returns the files written. Raises CannotConvert."""
    written = []
    for part in pickled_parts(folder):
        for pickled in sorted((folder / part).glob(PICKLED)):
            written.append(_convert_weights(pickled))
        for index in sorted((folder / part).glob(f"{PICKLED}.index*.json")):
            written.append(_convert_index(index))
    return written


def safe_name(name: str) -> str:
    """``model.fp16.safetensors`` for ``pytorch_model.fp16.bin``: transformers changes the stem too."""
    return name.removeprefix("pytorch_").replace(".bin", ".safetensors")


def _convert_weights(pickled: Path) -> Path:
    name = f"{pickled.parent.name}/{pickled.name}"
    try:
        weights = torch.load(pickled, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CannotConvert(f"{name} is damaged, or holds more than tensors: {reason}") from error
    if not isinstance(weights, dict) or not all(isinstance(part, torch.Tensor) for part in weights.values()):
        raise CannotConvert(f"{name} is no list of named tensors")
    # Tensors that share memory would be refused.
    own = {name: weight.clone().contiguous() for name, weight in weights.items()}
    target = pickled.with_name(safe_name(pickled.name))
    save_file(own, target, metadata={"format": "pt"})
    return target


def _convert_index(index: Path) -> Path:
    """Which of several files holds which tensor."""
    content = json.loads(index.read_text())
    content["weight_map"] = {name: safe_name(file) for name, file in content["weight_map"].items()}
    target = index.with_name(safe_name(index.name))
    target.write_text(json.dumps(content, indent=2))
    return target


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.generation.conversion", description=__doc__)
    parser.add_argument("folder", type=Path, help="a checkpoint in diffusers layout")
    folder: Path = parser.parse_args().folder
    if not (folder / "model_index.json").is_file():
        parser.error(f"{folder} has no model_index.json")
    try:
        written = convert(folder)
    except CannotConvert as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(f"wrote {path}")
    if not written:
        print("nothing to do: every part has safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
