"""Attention made of two matrix products and a softmax, for training on a CPU."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class WrittenOut(TorchFunctionMode):
    """Within it ``scaled_dot_product_attention``, whoever calls it, is ``attend``.

    Back through torch's fused kernel takes ten times as long as through these products where sequences are
    many and short, as along time; and its own products, ``SDPBackend.MATH``, go by way of float32 and look
    for rows that are masked as a whole.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``attend`` in the place of what is torch's."""
        called = attend if func is F.scaled_dot_product_attention else func
        return called(*args, **(kwargs or {}))


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """What scaled_dot_product_attention makes of the same arguments: ``[..., length, C]``.

    Raises ValueError for dropout, and for a mask beside ``is_causal``, which torch does not take either. A
    row that is masked as a whole becomes NaN.
    """
    if dropout_p:
        raise ValueError(f"dropout_p: {dropout_p} is not accepted; accepted value: 0.")
    if is_causal and attn_mask is not None:
        raise ValueError("attn_mask: is not accepted beside is_causal.")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ key.transpose(-1, -2)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_bool else scores + attn_mask
    # In float32, for which torch has the faster softmax where rows are short.
    attended: torch.Tensor = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    return attended
