"""DeepCache: what a UNet's inner layers give changes slowly from step to step, so other steps reuse it.

X. Ma, G. Fang, X. Wang, "DeepCache: Accelerating Diffusion Models for Free", 2024,
https://arxiv.org/abs/2312.00858: section 3.2, what is kept (the input of a layer of the last block, equation
7), and section 3.3, for how long (a whole call every N).
"""

from dataclasses import dataclass
from typing import Any

import torch

from services.generation.acceleration.calls import TextCall
from services.generation.acceleration.runner import Run, Runner
from services.generation.denoiser import Denoiser, Guidance, Predict
from services.generation.prompts import PromptEmbeddings


@dataclass(frozen=True)
class _Given:
    """What every layer of one call is given besides its input."""

    time: torch.Tensor
    """``[B × T, D]``."""
    text: dict[str, Any]
    """Keyword arguments of layers that attend to the text."""
    num_frames: int


class _SplitCall(TextCall):
    """A ``UNet3DConditionModel``, bit for bit, in two parts: outer layers next to its input and its output,
    and the inner ones between them.

    Args:
        depth: Layers of the last block that are outer; with them go as many of the first, less one. At least
            1, at most ``layers_per_block + 1``.
    """

    def __init__(self, unet: Any, depth: int, *, text_attention: bool = False) -> None:
        super().__init__(unet, text_attention=text_attention)
        deepest = len(unet.up_blocks[-1].resnets)
        if not 1 <= depth <= deepest:
            raise ValueError(f"depth: {depth} is not between 1 and {deepest}")
        self._depth = depth

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, "depth": self._depth}

    def _enter(
        self, latents: torch.Tensor, timestep: torch.Tensor, text: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, _Given]:
        unet, (batch, _, frames, _, _) = self.unet, latents.shape
        time = unet.time_embedding(unet.time_proj(timestep.expand(batch)).to(unet.dtype))
        arguments = self.text_arguments(latents, text)
        context = arguments["encoder_hidden_states"]
        arguments["encoder_hidden_states"] = _for_each_frame(context, frames)
        hidden = unet.conv_in(latents.transpose(1, 2).flatten(0, 1))
        hidden = unet.transformer_in(hidden, num_frames=frames, return_dict=False)[0]
        return hidden, _Given(_for_each_frame(time, frames), arguments, frames)

    def _outer_down(self, hidden: torch.Tensor, given: _Given) -> list[torch.Tensor]:
        """Every output so far, for the other side of the UNet."""
        outputs = [hidden]
        for index in range(self._depth - 1):
            outputs.append(_layer(self.unet.down_blocks[0], index, outputs[-1], given))
        return outputs

    def _outer_up(self, features: torch.Tensor, outer: list[torch.Tensor], given: _Given) -> torch.Tensor:
        """The prediction."""
        unet, last, hidden = self.unet, self.unet.up_blocks[-1], features
        layers = range(len(last.resnets) - self._depth, len(last.resnets))
        for index, skip in zip(layers, reversed(outer), strict=True):
            hidden = _layer(last, index, torch.cat([hidden, skip], dim=1), given)
        if unet.conv_norm_out is not None:
            hidden = unet.conv_act(unet.conv_norm_out(hidden))
        prediction: torch.Tensor = unet.conv_out(hidden)
        return prediction.reshape(-1, given.num_frames, *prediction.shape[1:]).transpose(1, 2)


class WholeCall(_SplitCall):
    """All layers."""

    def forward(
        self, latents: torch.Tensor, timestep: torch.Tensor, *text: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The prediction for latents ``[B, C, T, h, w]``, and what the inner layers gave, ``[B × T, …]``."""
        hidden, given = self._enter(latents, timestep, text)
        outer = self._outer_down(hidden, given)
        features = self._inner(outer, given)
        return self._outer_up(features, outer, given), features

    def _inner(self, outer: list[torch.Tensor], given: _Given) -> torch.Tensor:
        unet, skips, hidden = self.unet, list(outer), outer[-1]
        first, *others = unet.down_blocks
        for index in range(self._depth - 1, len(first.resnets)):
            hidden = _layer(first, index, hidden, given)
            skips.append(hidden)
        for downsampler in first.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
        for block in others:
            hidden, outputs = _block(block, hidden, given)
            skips.extend(outputs)
        hidden = unet.mid_block(hidden, given.time, num_frames=given.num_frames, **given.text)
        for block in unet.up_blocks[:-1]:
            count = len(block.resnets)
            skips, taken = skips[:-count], tuple(skips[-count:])
            size = skips[-1].shape[2:]
            hidden = _block(block, hidden, given, res_hidden_states_tuple=taken, upsample_size=size)
        last = unet.up_blocks[-1]
        for index in range(len(last.resnets) - self._depth):
            hidden = _layer(last, index, torch.cat([hidden, skips.pop()], dim=1), given)
        return hidden


class OuterCall(_SplitCall):
    """The outer layers, around what the inner ones gave in another call."""

    def forward(
        self, latents: torch.Tensor, timestep: torch.Tensor, features: torch.Tensor, *text: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        hidden, given = self._enter(latents, timestep, text)
        return (self._outer_up(features, self._outer_down(hidden, given), given),)


class CachedDenoiser(Denoiser):
    """A UNet of which every ``interval``-th call is whole; the others compute the outer layers alone."""

    def __init__(
        self,
        unet: Any,
        interval: int,
        depth: int,
        *,
        text_attention: bool = False,
        runner: Runner | None = None,
    ) -> None:
        super().__init__(unet, text_attention=text_attention, runner=runner)
        self._whole = WholeCall(unet, depth, text_attention=text_attention)
        self._outer = OuterCall(unet, depth, text_attention=text_attention)
        self._interval = interval

    def begin(self, embeddings: PromptEmbeddings, guidance_scale: float | torch.Tensor) -> Guidance:
        kept = _Kept(self._interval)

        def predict(context: torch.Tensor) -> Predict:
            return _Prediction(self._whole, self._outer, self._runner, context, kept)

        guided = None if embeddings.negative is None else predict(embeddings.batch)
        return Guidance(guided, predict(embeddings.prompt), guidance_scale)


class _Kept:
    """What the inner layers gave last in one sampling run, to guided and unguided calls together."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._features: torch.Tensor | None = None
        self._age = 0

    def keep(self, features: torch.Tensor) -> None:
        self._features, self._age = features, 0

    def take(self, rows: int) -> torch.Tensor | None:
        """For so many frames; None where the inner layers are due."""
        self._age += 1
        if self._features is None or self._age >= self._interval or len(self._features) < rows:
            return None
        # Where guidance has just ended, the second half is that of the prompt.
        return self._features[-rows:]


class _Prediction:
    """Predictions with one text ``[B, n × window, C]``, which is read once."""

    def __init__(
        self, whole: WholeCall, outer: OuterCall, runner: Runner, context: torch.Tensor, kept: _Kept
    ) -> None:
        self._whole = whole
        self._outer = outer
        self._runner = runner
        self._context = context
        self._kept = kept
        self._text: list[torch.Tensor] | None = None
        self._runs: dict[_SplitCall, Run] = {}

    def __call__(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        features = self._kept.take(latents.shape[0] * latents.shape[2])
        if features is not None:
            return self._run(self._outer, [latents, timestep, features])[0]
        prediction, features = self._run(self._whole, [latents, timestep])
        self._kept.keep(features)
        return prediction

    def _run(self, call: _SplitCall, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        if self._text is None:
            self._text = call.read(self._context)
        if call not in self._runs:
            self._runs[call] = self._runner.choose(call, inputs, self._text)
        return self._runs[call](inputs, self._text)


def _for_each_frame(embedding: torch.Tensor, num_frames: int) -> torch.Tensor:
    return embedding.repeat_interleave(num_frames, dim=0, output_size=len(embedding) * num_frames)


def _layer(block: Any, index: int, hidden: torch.Tensor, given: _Given) -> torch.Tensor:
    hidden = block.resnets[index](hidden, given.time)
    hidden = block.temp_convs[index](hidden, num_frames=given.num_frames)
    if hasattr(block, "attentions"):
        hidden = block.attentions[index](hidden, return_dict=False, **given.text)[0]
        hidden = block.temp_attentions[index](hidden, num_frames=given.num_frames, return_dict=False)[0]
    return hidden


def _block(block: Any, hidden: torch.Tensor, given: _Given, **options: Any) -> Any:
    if hasattr(block, "attentions"):
        options |= given.text
    return block(hidden_states=hidden, temb=given.time, num_frames=given.num_frames, **options)
