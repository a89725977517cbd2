"""Guidance at some noise levels alone: at the others a step costs half as much.

T. Kynkäänniemi et al., "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in
Diffusion Models", 2024, https://arxiv.org/abs/2404.07724, equation 6: w(σ) = w for σ in (σ_lo, σ_hi], else 1.
"""

from typing import Any

import torch


def guided_calls(scheduler: Any, sigmas: tuple[float, float] | None) -> list[bool]:
    """For each call of the UNet that a prepared scheduler plans, whether it is guided.

    Args:
        sigmas: σ_lo and σ_hi; None for guidance throughout. σ is that of the variance-exploding form,
            √((1 − ᾱ) / ᾱ), in whichever form the scheduler computes.
    """
    timesteps = scheduler.timesteps
    if sigmas is None:
        return [True] * len(timesteps)
    low, high = sigmas
    # On the host, and before the first step: asking the device between steps would wait for it each time.
    signal = scheduler.alphas_cumprod.cpu().double()[timesteps.cpu().round().long()]
    levels: list[float] = torch.sqrt((1 - signal) / signal).tolist()
    return [low < level <= high for level in levels]
