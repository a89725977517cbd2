"""Attention that is written out gives torch's results and gradients."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from training import attention
from training.attention import WrittenOut, attend
from training.devices import mixed_precision

torch_attend = F.scaled_dot_product_attention

MASK = torch.tensor([[True, True, False, True]]).expand(5, 4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.7},
        {"is_causal": True},
        {"attn_mask": MASK},
        {"attn_mask": torch.where(MASK, 0.5, -math.inf)},
    ],
    ids=["plain", "scale", "causal", "mask", "added mask"],
)
def test_results_and_gradients_are_torchs(options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 5, 8), (2, 3, 4, 8), (2, 3, 4, 8))
    inputs = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    weights = torch.randn(shapes[0], generator=generator)
    results = [call(*inputs, **options) for call in (attend, torch_attend)]
    gradients = [torch.autograd.grad((result * weights).sum(), inputs) for result in results]
    torch.testing.assert_close(*results)
    torch.testing.assert_close(*gradients)


def test_dropout_and_two_masks_are_refused() -> None:
    query = torch.ones(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"dropout_p: 0\.1 is not accepted"):
        attend(query, query, query, dropout_p=0.1)
    with pytest.raises(ValueError, match="attn_mask: is not accepted beside is_causal"):
        attend(query, query, query, torch.ones(2, 2, dtype=torch.bool), is_causal=True)


@pytest.mark.parametrize("computes_in_bfloat16", [False, True])
def test_a_cpu_that_computes_in_bfloat16_has_it_written_out(
    computes_in_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr("training.devices.has_bfloat16", lambda: computes_in_bfloat16)
    monkeypatch.setattr(attention, "attend", lambda *args, **kwargs: calls.append(args))
    query = torch.ones(1, 1, 2, 4)
    with mixed_precision(torch.device("cpu")):
        F.scaled_dot_product_attention(query, query, query)
    assert len(calls) == computes_in_bfloat16
    with WrittenOut():
        F.scaled_dot_product_attention(query, query, query)
    F.scaled_dot_product_attention(query, query, query)
    assert len(calls) == computes_in_bfloat16 + 1
