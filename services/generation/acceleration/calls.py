"""UNet and VAE as functions of tensors alone: what is compiled, and what CUDA graphs capture."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from services.generation.acceleration.attention import project_text


class TextCall(nn.Module):
    """A call of a UNet3DConditionModel, or of parts of it, that reads a text.

    Args:
        text_attention: Whether the UNet takes keys and values instead of the text.
    """

    def __init__(self, unet: Any, *, text_attention: bool) -> None:
        super().__init__()
        self.unet = unet
        self.text_attention = text_attention

    @property
    def network(self) -> Any:
        """What its weights belong to."""
        return self.unet

    @property
    def options(self) -> dict[str, Any]:
        """The other arguments it was made with."""
        return {"text_attention": self.text_attention}

    def read(self, context: torch.Tensor) -> list[torch.Tensor]:
        """What ``forward`` takes as ``text`` for a context ``[B, n × window, C]``."""
        if not self.text_attention:
            return [context]
        return [tensor for layer in project_text(self.unet, context) for tensor in layer]

    def text_arguments(self, latents: torch.Tensor, text: Sequence[torch.Tensor]) -> dict[str, Any]:
        """How layers that attend to the text are given it."""
        if not self.text_attention:
            return {"encoder_hidden_states": text[0]}
        # The UNet repeats its context for each frame: here something small that no layer reads.
        return {
            "encoder_hidden_states": latents[:, :1, 0, 0, :1],
            "cross_attention_kwargs": {"text": list(zip(text[::2], text[1::2], strict=True))},
        }


class UNetCall(TextCall):
    """The UNet's prediction."""

    def forward(
        self, latents: torch.Tensor, timestep: torch.Tensor, *text: torch.Tensor
    ) -> tuple[torch.Tensor]:
        """``[B, C, T, h, w]`` and a timestep ``[]`` to the prediction, of the latents' shape."""
        prediction: tuple[torch.Tensor] = self.unet(
            latents, timestep, return_dict=False, **self.text_arguments(latents, text)
        )
        return prediction


class DecodeCall(nn.Module):
    """A VAE's decoder, colours rounded on the device: a quarter of the bytes."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    @property
    def network(self) -> Any:
        """What its weights belong to."""
        return self.vae

    @property
    def options(self) -> dict[str, Any]:
        """The other arguments it was made with."""
        return {}

    def forward(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents ``[n, C, h, w]`` to RGB ``uint8[n, H, W, 3]``, and whether all of it was finite, ``[]``."""
        image = self.vae.decode(latents, return_dict=False)[0].float()
        pixels = ((image * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous(), torch.isfinite(image).all()
