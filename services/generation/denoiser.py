"""The UNet as the sampling loop calls it: one prediction a step, guidance included."""

from collections.abc import Callable
from typing import Any

import torch

from services.generation.acceleration.calls import UNetCall
from services.generation.acceleration.runner import Run, Runner
from services.generation.prompts import PromptEmbeddings

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(latents [B, C, T, h, w], timestep [])`` to what the UNet predicts for them, of the same shape."""


class Guidance:
    """Predictions for the latents of one sampling run.

    Args:
        guided: Predicts for ``[2B, …]``: all latents with the negative prompt, then all with the prompt.
            None where nothing is guided.
        conditional: Predicts for ``[B, …]`` with the prompt alone.
        scale: Classifier-free guidance (https://arxiv.org/abs/2207.12598); a tensor ``[B, 1, 1, 1, 1]`` for
            a scale of each sample's own.
    """

    def __init__(self, guided: Predict | None, conditional: Predict, scale: float | torch.Tensor) -> None:
        self._guided = guided
        self._conditional = conditional
        self._scale = scale

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor, *, guided: bool = True) -> torch.Tensor:
        """The prediction for scaled latents ``[B, C, T, h, w]``.

        ``guided=False`` leaves guidance out of this step, and so half of the work.
        """
        if self._guided is None or not guided:
            return self._conditional(latents, timestep)
        unconditional, conditional = self._guided(torch.cat([latents] * 2), timestep).chunk(2)
        return unconditional + self._scale * (conditional - unconditional)


class Denoiser:
    """A model's UNet.

    Args:
        text_attention: Whether ``use_text_attention`` was applied to it.
        runner: Calls it; by default as the pipeline does, with the same numbers, bit for bit.
    """

    def __init__(self, unet: Any, *, text_attention: bool = False, runner: Runner | None = None) -> None:
        self._call = UNetCall(unet, text_attention=text_attention)
        self._runner = runner or Runner()

    def begin(self, embeddings: PromptEmbeddings, guidance_scale: float | torch.Tensor) -> Guidance:
        """What predicts for one sampling run with these prompts, ``[B, n × window, C]`` each."""
        guided = None if embeddings.negative is None else self._predict(embeddings.batch)
        return Guidance(guided, self._predict(embeddings.prompt), guidance_scale)

    def _predict(self, context: torch.Tensor) -> Predict:
        return _Prediction(self._call, self._runner, context)


class _Prediction:
    """Predictions with one text ``[B, n × window, C]``, which is read once."""

    def __init__(self, call: UNetCall, runner: Runner, context: torch.Tensor) -> None:
        self._call = call
        self._runner = runner
        self._context = context
        self._text: list[torch.Tensor] = []
        self._run: Run | None = None

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        if self._run is None:
            self._text = self._call.read(self._context)
            self._run = self._runner.choose(self._call, [latents, timestep], self._text)
        return self._run([latents, timestep], self._text)[0]
