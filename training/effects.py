"""Measures how much guidance, negative prompt and seed change what a checkpoint makes."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
from diffusers import TextToVideoSDPipeline
from numpy.typing import NDArray

from training.judging.objects import judge
from training.judging.scenes import SceneNet
from training.judging.tables import Case, look_at, mark
from training.sampling import GUIDANCE, generate

OPEN_PROMPT = "a circle on a black background"
"""Leaves the colour to chance, so that a negative prompt has something to take away."""


@dataclass(frozen=True)
class Effects:
    """What was measured on a few prompts.

    by_guidance: share of all marks that are right, by guidance scale. between_seeds, same_seed: mean
    difference of channels between two clips of one prompt, in levels of 0 to 255. negative_colour: the
    commonest colour where the prompt names none; with and without it as negative prompt, its share of clips.
    """

    by_guidance: dict[str, float]
    between_seeds: float
    same_seed: float
    negative_colour: str | None
    share_without: float
    share_with: float


def measure_effects(pipe: TextToVideoSDPipeline, cases: list[Case], net: SceneNet, steps: int) -> Effects:
    """Generate the prompts of a few cases, anew for each setting."""
    prompts = [case.caption for case in cases]
    make = partial(generate, pipe, steps=steps)
    guided = make(prompts, 1)
    by_guidance = {"1": _share_right(cases, make(prompts, 1, guidance=1.0), net)}
    by_guidance[f"{GUIDANCE:g}"] = _share_right(cases, guided, net)
    open_prompts = [OPEN_PROMPT] * len(cases)
    colours = _colours(make(open_prompts, 1))
    commonest: str | None = next((colour for colour, _ in colours.most_common(1)), None)
    negative = OPEN_PROMPT.replace("circle", f"{commonest} circle")
    avoiding = _colours(make(open_prompts, 1, negative_prompt=negative)) if commonest else colours
    return Effects(
        by_guidance=by_guidance,
        between_seeds=_difference(guided, make(prompts, 2)),
        same_seed=_difference(guided, make(prompts, 1)),
        negative_colour=commonest,
        share_without=colours[commonest or ""] / len(cases),
        share_with=avoiding[commonest or ""] / len(cases),
    )


def print_effects(effects: Effects) -> None:
    """Print what was measured as a Markdown list."""
    shares = ", ".join(f"{share:.1%} at {scale}" for scale, share in effects.by_guidance.items())
    print(f"- guidance scale: of all marks right {shares}")
    print(
        f"- seed: clips of two seeds differ by {effects.between_seeds:.1f} levels of 255, "
        f"of the same by {effects.same_seed:.1f}"
    )
    print(
        f"- negative prompt: of clips of “{OPEN_PROMPT}” {effects.share_without:.0%} are "
        f"{effects.negative_colour}, and {effects.share_with:.0%} where the negative prompt says so"
    )


def _share_right(cases: list[Case], clips: NDArray[np.uint8], net: SceneNet) -> float:
    marks = mark(cases, look_at(list(clips), net))
    return float(np.mean([right for each in marks for right in each.values()]))


def _colours(clips: NDArray[np.uint8]) -> Counter[str]:
    """How many of the clips show a thing of each colour."""
    return Counter(colour for clip in clips for colour in {thing.colour for thing in judge(clip).things})


def _difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(np.float32) - second).mean())
