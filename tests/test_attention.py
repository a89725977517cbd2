"""Attention in parts, and to a single thing."""

import pytest
import torch
from torch.nn import functional

from services.generation.acceleration.attention import MAX_BATCH, attend


@pytest.fixture
def batches(monkeypatch):
    """The batch of each call of the kernel."""
    seen = []
    kernel = functional.scaled_dot_product_attention

    def watched(query, key, value):
        seen.append(len(query))
        return kernel(query, key, value)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    return seen


@pytest.mark.parametrize(("most", "parts"), [(3, [3, 3, 1]), (7, [7]), (6, [6, 1]), (MAX_BATCH, [7])])
def test_no_part_is_larger_than_allowed(batches, most, parts):
    query, key, value = torch.randn(3, 7, 2, 5, 4, generator=torch.Generator().manual_seed(0)).unbind()
    whole = functional.scaled_dot_product_attention(query, key, value)
    batches.clear()
    torch.testing.assert_close(attend(query, key, value, most), whole)
    assert batches == parts


def test_a_large_clip_passes_what_the_kernels_take(batches):
    """Along time, a batch is samples × height × width."""
    query = torch.ones(MAX_BATCH + 1, 1, 2, 1)
    assert attend(query, query, query).shape == query.shape
    assert batches == [MAX_BATCH, 1]


@pytest.mark.parametrize("queries", [1, 5])
def test_what_attends_to_one_thing_takes_it_as_it_is(batches, queries):
    generator = torch.Generator().manual_seed(0)
    key, value = torch.randn(2, 7, 2, 1, 4, generator=generator).unbind()
    query = torch.randn(7, 2, queries, 4, generator=generator)
    expected = functional.scaled_dot_product_attention(query, key, value)
    batches.clear()
    torch.testing.assert_close(attend(query, key, value), expected)
    assert not batches
