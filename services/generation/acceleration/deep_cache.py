"""DeepCache: a UNet's inner layers change slowly from step to step, so most steps reuse what they gave before.

X. Ma, G. Fang, X. Wang, "DeepCache: Accelerating Diffusion Models for Free", 2024,
https://arxiv.org/abs/2312.00858: section 3.2 (what is kept: the input of a layer of the last block, equation 7) and
3.3 (how long: a whole call every N).
"""

from dataclasses import dataclass
from typing import Any

import torch

from services.generation.denoiser import Denoiser, Guidance, Predict
from services.generation.prompts import PromptEmbeddings


@dataclass(frozen=True)
class _Call:
    """What every layer of one call is given besides its input: embeddings ``[B × T, …]`` of time and text."""

    time: torch.Tensor
    text: torch.Tensor
    num_frames: int


class SplitUNet:
    """A ``UNet3DConditionModel``, bit for bit, in two parts: the outer layers next to its input and output, and
    the inner ones between them.

    Args:
        depth: Layers of the last block that are outer; with them go as many of the first, less one. At least 1,
            at most ``layers_per_block + 1``.
    """

    def __init__(self, unet: Any, depth: int) -> None:
        deepest = len(unet.up_blocks[-1].resnets)
        if not 1 <= depth <= deepest:
            raise ValueError(f"depth: {depth} is not between 1 and {deepest}")
        self._unet = unet
        self._depth = depth

    def whole(
        self, latents: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The prediction for ``[B, C, T, h, w]`` with the text ``[B, n, D]``, and what the inner layers gave."""
        hidden, call = self._enter(latents, timestep, context)
        hidden, skips = self._outer_down(hidden, call)
        features = self._inner(hidden, skips, call)
        return self._outer_up(features, skips, call), features

    def outer(
        self, latents: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """The prediction with the inner layers' ``features`` of another call."""
        hidden, call = self._enter(latents, timestep, context)
        _, skips = self._outer_down(hidden, call)
        return self._outer_up(features, skips, call)

    def _enter(
        self, latents: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor
    ) -> tuple[torch.Tensor, _Call]:
        unet, (batch, _, frames, _, _) = self._unet, latents.shape
        time = unet.time_embedding(unet.time_proj(timestep.expand(batch)).to(unet.dtype))
        call = _Call(_for_each_frame(time, frames), _for_each_frame(context, frames), frames)
        hidden = unet.conv_in(latents.transpose(1, 2).flatten(0, 1))
        return unet.transformer_in(hidden, num_frames=frames, return_dict=False)[0], call

    def _outer_down(self, hidden: torch.Tensor, call: _Call) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Also every output so far, for the other side of the UNet."""
        skips = [hidden]
        for index in range(self._depth - 1):
            hidden = _layer(self._unet.down_blocks[0], index, hidden, call)
            skips.append(hidden)
        return hidden, skips

    def _inner(self, hidden: torch.Tensor, outer_skips: list[torch.Tensor], call: _Call) -> torch.Tensor:
        unet, skips = self._unet, list(outer_skips)
        first, *others = unet.down_blocks
        for index in range(self._depth - 1, len(first.resnets)):
            hidden = _layer(first, index, hidden, call)
            skips.append(hidden)
        for downsampler in first.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
        for block in others:
            hidden, outputs = _block(block, hidden, call)
            skips.extend(outputs)
        hidden = unet.mid_block(
            hidden, call.time, encoder_hidden_states=call.text, num_frames=call.num_frames
        )
        for block in unet.up_blocks[:-1]:
            count = len(block.resnets)
            skips, taken = skips[:-count], tuple(skips[-count:])
            size = skips[-1].shape[2:]
            hidden = _block(block, hidden, call, res_hidden_states_tuple=taken, upsample_size=size)
        last = unet.up_blocks[-1]
        for index in range(len(last.resnets) - self._depth):
            hidden = _layer(last, index, torch.cat([hidden, skips.pop()], dim=1), call)
        return hidden

    def _outer_up(self, hidden: torch.Tensor, outer_skips: list[torch.Tensor], call: _Call) -> torch.Tensor:
        unet, last = self._unet, self._unet.up_blocks[-1]
        layers = range(len(last.resnets) - self._depth, len(last.resnets))
        for index, skip in zip(layers, reversed(outer_skips), strict=True):
            hidden = _layer(last, index, torch.cat([hidden, skip], dim=1), call)
        if unet.conv_norm_out is not None:
            hidden = unet.conv_act(unet.conv_norm_out(hidden))
        prediction: torch.Tensor = unet.conv_out(hidden)
        return prediction.unflatten(0, (-1, call.num_frames)).transpose(1, 2)


class CachedDenoiser(Denoiser):
    """A UNet of which every ``interval``-th call is whole; the others compute its outer layers alone."""

    def __init__(self, unet: Any, interval: int, depth: int) -> None:
        super().__init__(unet)
        self._split = SplitUNet(unet, depth)
        self._interval = interval

    def begin(self, embeddings: PromptEmbeddings, guidance_scale: float | torch.Tensor) -> Guidance:
        run = _Run(self._split, self._interval)
        guided = None if embeddings.negative is None else run.predictor(embeddings.batch)
        return Guidance(guided, run.predictor(embeddings.prompt), guidance_scale)


class _Run:
    """The calls of one sampling run, guided and unguided ones together."""

    def __init__(self, split: SplitUNet, interval: int) -> None:
        self._split = split
        self._interval = interval
        self._calls = 0
        self._features: torch.Tensor | None = None

    def predictor(self, context: torch.Tensor) -> Predict:
        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            features = self._kept(latents.shape[0] * latents.shape[2])
            if features is None:
                self._calls = 0
                prediction, self._features = self._split.whole(latents, timestep, context)
            else:
                prediction = self._split.outer(latents, timestep, context, features)
            self._calls += 1
            return prediction

        return predict

    def _kept(self, rows: int) -> torch.Tensor | None:
        """Features for so many frames, from the last whole call; None where that must be made now."""
        if self._features is None or self._calls % self._interval == 0 or len(self._features) < rows:
            return None
        # After guidance has ended the second half is that of the prompt.
        return self._features[-rows:]


def _for_each_frame(embedding: torch.Tensor, num_frames: int) -> torch.Tensor:
    return embedding.repeat_interleave(num_frames, dim=0, output_size=len(embedding) * num_frames)


def _layer(block: Any, index: int, hidden: torch.Tensor, call: _Call) -> torch.Tensor:
    hidden = block.resnets[index](hidden, call.time)
    hidden = block.temp_convs[index](hidden, num_frames=call.num_frames)
    if hasattr(block, "attentions"):
        hidden = block.attentions[index](hidden, encoder_hidden_states=call.text, return_dict=False)[0]
        hidden = block.temp_attentions[index](hidden, num_frames=call.num_frames, return_dict=False)[0]
    return hidden


def _block(block: Any, hidden: torch.Tensor, call: _Call, **options: Any) -> Any:
    if hasattr(block, "attentions"):
        options["encoder_hidden_states"] = call.text
    return block(hidden_states=hidden, temb=call.time, num_frames=call.num_frames, **options)
