"""The UNet as the sampling loop calls it: one prediction a step, guidance included."""

from collections.abc import Callable
from typing import Any

import torch

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
    """A model's UNet, called as the pipeline calls it: the same numbers, bit for bit."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet

    def begin(self, embeddings: PromptEmbeddings, guidance_scale: float | torch.Tensor) -> Guidance:
        """What predicts for one sampling run with these prompts, ``[B, n × window, C]`` each."""
        guided = None if embeddings.negative is None else self._with(embeddings.batch)
        return Guidance(guided, self._with(embeddings.prompt), guidance_scale)

    def _with(self, context: torch.Tensor) -> Predict:
        """Predictions with the text ``[B, n × window, C]``."""

        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            prediction: torch.Tensor = self._unet(
                latents, timestep, encoder_hidden_states=context, return_dict=False
            )[0]
            return prediction

        return predict
