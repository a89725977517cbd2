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
    """Writes the mean loss of every 50 steps to a CSV file, to which a run that goes on appends."""

    def __init__(self, path: Path, every: int = 50) -> None:
        self._path, self._every = path, every
        self._recent: deque[float] = deque(maxlen=every)

    def add(self, step: int, loss: float) -> float:
        """Take in a step's loss; returns the mean of the last ones."""
        self._recent.append(loss)
        mean = sum(self._recent) / len(self._recent)
        if (step + 1) % self._every == 0:
            with self._path.open("a") as file:
                file.write(f"{step + 1},{mean:.5f}\n")
        return mean

    def draw(self, path: Path) -> None:
        """Save the curve as a picture."""
        if not self._path.exists():
            return
        steps, losses = np.loadtxt(self._path, delimiter=",", ndmin=2).T
        figure, axes = plt.subplots(figsize=(8, 4))
        axes.semilogy(steps, losses)
        axes.set(xlabel="step", ylabel="loss, mean of 50 steps")
        figure.savefig(path, dpi=100)
        plt.close(figure)


def save_samples(checkpoint: Path, path: Path) -> None:
    """Save a sheet of what a checkpoint makes of PROMPTS in ten steps, a clip a row."""
    path.parent.mkdir(exist_ok=True)
    save_sheet(generate(load(checkpoint), list(PROMPTS), seed=1, steps=10), path)
