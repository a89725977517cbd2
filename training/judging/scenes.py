"""A small network, trained on drawn clips alone, that names sceneries: python -m training.judging.scenes"""

import argparse
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from training.world.clip import FIRST_HELD_OUT_SEED, Clip, Scenery, draw, random_clip
from training.world.scenery import SCENERIES

THINGS = "things"
"""What is named where a clip shows things in front of a background, and no scenery."""
SIZE = 64
MOMENTS = (0, 5, 9, 14)
"""Frames that are looked at, each with the change to the next one, as shares of 16."""
DEFAULT_PATH = Path("runs/scenes.pt")
LEAST_CERTAINTY = 0.5


class SceneNet(nn.Module):
    """float32[B, M, 6, 64, 64], frames in -1..1 beside their changes, to log odds float32[B, names]."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names
        widths = (6, 16, 32, 48, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * widths[-1], len(names))

    def forward(self, moments: torch.Tensor) -> torch.Tensor:
        """What the moments show, all together."""
        features = self.features(moments.flatten(0, 1))
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        logits: torch.Tensor = self.head(pooled.view(*moments.shape[:2], -1).mean(dim=1))
        return logits

    @torch.no_grad()
    def name(self, clips: Iterable[NDArray[np.uint8]]) -> list[str]:
        """The names of clips uint8[T, S, S, 3]; THINGS also where the network is not sure of any."""
        chances = self(torch.stack([moments_of(clip) for clip in clips])).softmax(dim=1)
        best, index = chances.max(dim=1)
        return [
            self.names[int(i)] if chance >= LEAST_CERTAINTY else THINGS
            for chance, i in zip(best, index, strict=True)
        ]


def moments_of(clip: NDArray[np.uint8]) -> torch.Tensor:
    """A clip uint8[T, S, S, 3] as float32[M, 6, 64, 64]."""
    at = [round(moment * (len(clip) - 2) / max(MOMENTS)) for moment in MOMENTS]
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1
    frames = functional.interpolate(frames, size=(SIZE, SIZE), mode="area")
    return torch.stack([torch.cat([frames[t], frames[t + 1] - frames[t]]) for t in at])


class DrawnScenes(Dataset[tuple[torch.Tensor, int]]):
    """Numbered drawn clips, one name after the other; held_out takes those that training never saw."""

    def __init__(self, names: list[str], count: int, seed: int = 0, held_out: bool = False) -> None:
        self.names, self.count, self.seed, self.held_out = names, count, seed, held_out

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Moments of a clip, and the number of its name."""
        rng = np.random.default_rng([self.seed, index, self.held_out])
        name = self.names[index % len(self.names)]
        clip = Scenery(name, int(rng.integers(2**20)) + FIRST_HELD_OUT_SEED * self.held_out)
        drawn = draw(clip if name != THINGS else _things(rng, self.held_out), SIZE)
        return moments_of(drawn.frames), index % len(self.names)


def _things(rng: np.random.Generator, held_out: bool) -> Clip:
    while isinstance(clip := random_clip(rng, held_out), Scenery):
        pass
    return clip


def blemished(moments: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Clips as a model may paint them: softer, noisier, in shades that are a little off, seen from aside.

    All float32[B, M, 6, 64, 64]; the changes get noise of their own.
    """
    count = len(moments)
    noise = 0.08 * torch.rand(count, 1, 1, 1, 1, generator=generator)
    softness = torch.rand(count, 1, 1, 1, 1, generator=generator)
    flat = moments.flatten(0, 2)[:, None]
    kernel = torch.tensor([0.25, 0.5, 0.25])
    soft = functional.conv2d(
        functional.pad(flat, (1, 1, 1, 1), "replicate"), kernel.outer(kernel)[None, None]
    )
    mixed = moments + softness * (soft[:, 0].view_as(moments) - moments)
    shade = 0.16 * (torch.rand(count, 1, 3, 1, 1, generator=generator) - 0.5)
    gain = 0.85 + 0.3 * torch.rand(count, 1, 1, 1, 1, generator=generator)
    mixed = mixed * gain + torch.cat([shade, torch.zeros_like(shade)], dim=2)
    return mixed + noise * torch.randn(moments.shape, generator=generator)


def train(names: list[str], count: int = 1400, epochs: int = 10, seed: int = 0, workers: int = 2) -> SceneNet:
    """Train a network on so many drawn clips, two moments of each an epoch."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SceneNet(names)
    loader = DataLoader(DrawnScenes(names, count), batch_size=50, num_workers=workers)
    drawn = list(tqdm(loader, "clips drawn, by 50", disable=workers == 0))
    moments, labels = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    steps = epochs * -(-count // 32)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in tqdm(range(epochs), "epochs", disable=workers == 0):
        for batch in torch.split(torch.randperm(count, generator=generator), 32):
            some = torch.randperm(len(MOMENTS), generator=generator)[:2]
            seen = blemished(moments[batch][:, some], generator)
            loss = functional.cross_entropy(net(seen), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: SceneNet, count: int = 220, blemishes: bool = False, workers: int = 2) -> float:
    """The share of fresh drawn clips that are named rightly."""
    loader = DataLoader(DrawnScenes(net.names, count, held_out=True), batch_size=44, num_workers=workers)
    generator = torch.Generator().manual_seed(0)
    right = 0
    for moments, labels in loader:
        seen = blemished(moments, generator) if blemishes else moments
        right += int((net(seen).argmax(dim=1) == labels).sum())
    return right / count


def load_or_train(path: Path = DEFAULT_PATH) -> SceneNet:
    """The network from a file, or trained now and saved there if there is none for today's sceneries."""
    names = [*SCENERIES, THINGS]
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if (saved["names"], saved["drawings"]) == (names, _fingerprint()):
            net = SceneNet(names)
            net.load_state_dict(saved["weights"])
            return net.eval()
    net = train(names)
    save(net, path)
    return net


def save(net: SceneNet, path: Path) -> None:
    """Write what load_or_train reads for as long as the sceneries stay as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"names": net.names, "drawings": _fingerprint(), "weights": net.state_dict()}, path)


def _fingerprint() -> int:
    """Differs when a scenery is drawn differently."""
    pictures = [draw(Scenery(name, 1), 32, 2).frames.tobytes() for name in SCENERIES]
    return zlib.crc32(b"".join(pictures))


def main() -> None:
    """Train or load the network, and print how often it is right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, default=DEFAULT_PATH)
    args = parser.parse_args()
    net = load_or_train(args.path)
    print(f"fresh drawn clips named rightly: {accuracy(net):.1%}")
    print(f"the same clips blemished: {accuracy(net, blemishes=True):.1%}")


if __name__ == "__main__":
    main()
