"""Makes the steps that teach a network, from the first or from where they were cut off, to the last."""

import time
from pathlib import Path
from typing import Any, Protocol

import torch
from tqdm import tqdm

from training.progress import LossCurve


class Learner(Protocol):
    """What is taught step by step.

    All chance in a step comes from a seed and the step's number; so a learner that goes on from its state
    makes the steps that it would have made.

    Attributes:
        step: Steps made.
        steps: Steps to make in all.
        device: Where it computes.
    """

    step: int
    steps: int
    device: torch.device

    def train_step(self) -> float:
        """Make one step; returns the loss."""

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""

    def show(self, run: Path, sample: Path) -> None:
        """Write to the run's folder what can be used already, and beside ``sample`` what it can do."""


def teach(learner: Learner, run: Path, name: str, save_every: float = 600, leads: bool = True) -> None:
    """Make all steps that are left.

    Every ``save_every`` seconds and at the end these are written to the folder ``run``: NAME.pt, to go on
    from; NAME-losses.csv and NAME-losses.png, the loss curve; samples/NAME-005000 with what ``show`` has to
    say. Of several processes that make the steps together, one leads and alone writes.
    """
    state = run / f"{name}.pt"
    if state.exists():
        learner.load_state_dict(torch.load(state, weights_only=True, map_location=learner.device))
    if not leads:
        while learner.step < learner.steps:
            learner.train_step()
        return
    (run / "samples").mkdir(parents=True, exist_ok=True)
    curve = LossCurve(run / f"{name}-losses.csv", learner.step)
    saved_at = time.monotonic()
    with tqdm(total=learner.steps, initial=learner.step, desc=name) as progress:
        while learner.step < learner.steps:
            mean = curve.add(learner.train_step())
            progress.update()
            progress.set_postfix(loss=f"{mean:.4f}", refresh=False)
            if learner.step == learner.steps or time.monotonic() - saved_at > save_every:
                curve.draw()
                learner.show(run, run / "samples" / f"{name}-{learner.step:06}")
                torch.save(learner.state_dict(), state.with_suffix(".part"))
                state.with_suffix(".part").replace(state)
                saved_at = time.monotonic()
