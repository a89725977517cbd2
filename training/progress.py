"""What a training run shows of itself while it runs: its loss curve and what it makes of a few prompts."""

from collections import deque
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from training.sampling import generate, load, save_sheet

PROMPTS = (
    "a red circle moving left",
    "a small yellow star falling on a blue background",
    "a green heart growing",
    "a blue square above a yellow star",
    "a white ring bouncing on grass",
    "a peaceful sunset over mountain ranges",
    "a futuristic city with flying vehicles",
    "fireworks at night",
)


class LossCurve:
    """Writes the mean loss of every 50 steps to a CSV file.

    Args:
        path: Where a run that goes on appends, instead of what it had written of later steps.
        step: Steps made before.
    """

    def __init__(self, path: Path, step: int = 0, every: int = 50) -> None:
        self._path, self._step, self._every = path, step, every
        self._recent: deque[float] = deque(maxlen=every)
        rows = path.read_text().splitlines(keepends=True) if path.exists() else []
        path.write_text("".join(row for row in rows if int(row.split(",")[0]) <= step))

    def add(self, loss: float) -> float:
        """Take in the next step's loss; returns the mean of the last ones."""
        self._recent.append(loss)
        self._step += 1
        mean = sum(self._recent) / len(self._recent)
        if self._step % self._every == 0:
            with self._path.open("a") as file:
                file.write(f"{self._step},{mean:.5f}\n")
        return mean

    def draw(self) -> None:
        """Save the curve as a picture beside its file, as soon as there is a point of it."""
        if not self._path.read_text():
            return
        steps, losses = np.loadtxt(self._path, delimiter=",", ndmin=2).T
        figure, axes = plt.subplots(figsize=(8, 4))
        axes.semilogy(steps, losses)
        axes.set(xlabel="step", ylabel=f"loss, mean of {self._every} steps")
        figure.savefig(self._path.with_suffix(".png"), dpi=100)
        plt.close(figure)


def save_samples(checkpoint: Path, path: Path) -> None:
    """Save a sheet of what a checkpoint makes of PROMPTS in ten steps, a clip a row."""
    save_sheet(generate(load(checkpoint), list(PROMPTS), seed=1, steps=10), path)
