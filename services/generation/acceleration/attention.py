"""Attention of the UNet with fewer and larger calls: one product for query, key and value; text only once."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn import functional

MAX_BATCH = 65_535
"""The largest batch of scaled_dot_product_attention's CUDA kernels: it is a dimension of their grid."""

Text = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Key and value ``[B, heads, n × window, C / heads]`` of each cross-attention layer, in the layers' order."""


class SelfAttention:
    """Processor for layers that attend to their own input: within a frame, or along time.

    Along time the batch is samples × height × width, which large clips drive past what the kernels take.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        text: Text | None = None,
    ) -> torch.Tensor:
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        query, key, value = (_split_heads(part, attn.heads) for part in (query, key, value))
        return _project(attn, attend(query, key, value))


class TextAttention:
    """Processor for layers that attend to the prompt, whose keys and values it is given.

    The pipeline repeats the text for each frame and projects it again in each step. No frame's queries see
    another's, so all frames of a sample are one long sequence of queries here, against one text. Without
    ``text`` it does what the pipeline does.

    Args:
        index: The layer's place in ``Text``.
    """

    def __init__(self, index: int) -> None:
        self._index = index

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: None = None,
        text: Text | None = None,
    ) -> torch.Tensor:
        key, value = text[self._index] if text is not None else _project_text(attn, encoder_hidden_states)
        queries = attn.to_q(hidden_states).reshape(len(key), -1, key.shape[1] * key.shape[3])
        attended = _project(attn, attend(_split_heads(queries, attn.heads), key, value))
        return attended.reshape(hidden_states.shape)


def use_text_attention(unet: Any) -> None:
    """Let a UNet3DConditionModel's cross-attention take ``cross_attention_kwargs={"text": …}``, in place."""
    index = 0
    for attn in _attentions(unet):
        if attn.is_cross_attention:
            attn.set_processor(TextAttention(index))
            index += 1
        else:
            attn.set_processor(SelfAttention())


def project_text(unet: Any, context: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of a context ``[B, n × window, C]``: what ``TextAttention`` needs, once a prompt."""
    return [_project_text(attn, context) for attn in _attentions(unet) if attn.is_cross_attention]


def use_fused_qkv(unet: Any) -> None:
    """Give each self-attention layer one weight for query, key and value, in place.

    diffusers' own ``fuse_qkv_projections`` computes the same here, but keeps the three weights beside the
    fused one and fuses those of the text, which are used once a prompt. Here the three become views of the
    one. Layers whose projections are more than plain ones (LoRA, fp8) stay as they are.
    """
    for attn in _attentions(unet):
        parts = (attn.to_q, attn.to_k, attn.to_v)
        if attn.is_cross_attention or any(type(part) is not nn.Linear for part in parts):
            continue
        weight = torch.cat([part.weight.detach() for part in parts])
        bias = None if attn.to_q.bias is None else torch.cat([part.bias.detach() for part in parts])
        fused = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
        fused.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            fused.bias = nn.Parameter(bias, requires_grad=False)
        for index, part in enumerate(parts):
            part.weight = nn.Parameter(weight.chunk(3)[index], requires_grad=False)
            if bias is not None:
                part.bias = nn.Parameter(bias.chunk(3)[index], requires_grad=False)
        attn.to_qkv = fused
        attn.fused_projections = True
        attn.set_processor(SelfAttention())


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, max_batch: int = MAX_BATCH
) -> torch.Tensor:
    """Scaled dot-product attention of ``[B, heads, length, C / heads]``, ``max_batch`` at once."""
    if key.shape[2] == 1:
        return value.expand(query.shape)  # whatever the query: a lone picture along time
    if len(query) <= max_batch:
        return functional.scaled_dot_product_attention(query, key, value)
    parts = zip(*(torch.split(each, max_batch) for each in (query, key, value)), strict=True)
    return torch.cat([functional.scaled_dot_product_attention(*part) for part in parts])


def _attentions(unet: nn.Module) -> list[Any]:
    return [module for module in unet.modules() if isinstance(module, Attention)]


def _split_heads(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """``[B, length, C]`` to ``[B, heads, length, C / heads]``."""
    return tensor.reshape(*tensor.shape[:2], heads, -1).transpose(1, 2)


def _project_text(attn: Any, context: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    key, value = _split_heads(attn.to_k(context), attn.heads), _split_heads(attn.to_v(context), attn.heads)
    return key.contiguous(), value.contiguous()


def _project(attn: Any, attended: torch.Tensor) -> torch.Tensor:
    """``[B, heads, length, C / heads]`` through the layer's output projection."""
    projected: torch.Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
    return projected
