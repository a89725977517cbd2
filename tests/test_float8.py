"""Linear layers in 8 bits; the CPU multiplies such matrices too, slowly."""

import pytest
import torch

from services.generation.acceleration.attention import use_fused_qkv
from services.generation.acceleration.float8 import Float8Linear, has_float8, twin_of, use_float8
from tests.tiny_checkpoint import make_pipeline


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.float().flatten(), b.float().flatten(), dim=0)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_is_nearly_the_linear_layer(dtype, bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 48, bias=bias).to(dtype)
    inputs = torch.randn(2, 5, 64, dtype=dtype) * 100
    ours, exact = Float8Linear(linear)(inputs), linear(inputs)
    assert (ours.shape, ours.dtype) == (exact.shape, dtype)
    assert cosine(ours, exact) > 0.999


@torch.inference_mode()
def test_nothing_overflows_and_zero_stays_zero():
    layer = Float8Linear(torch.nn.Linear(16, 16, bias=False))
    assert torch.equal(layer(torch.zeros(3, 16)), torch.zeros(3, 16))
    assert torch.isfinite(layer(torch.full((3, 16), 60_000.0))).all()


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [False, True])
def test_the_twin_shares_what_it_does_not_round(is_fused):
    unet = make_pipeline().unet
    if is_fused:
        use_fused_qkv(unet)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    twin = twin_of(unet)
    use_float8(twin)
    rounded = {name for name, module in twin.named_modules() if isinstance(module, Float8Linear)}
    assert rounded
    assert all("transformer_blocks" in name for name in rounded)
    assert any(name.endswith("to_qkv") for name in rounded) == is_fused
    assert any(name.endswith("attn1.to_q") for name in rounded) != is_fused
    own = {tensor.data_ptr() for tensor in unet.parameters()}
    assert all(tensor.data_ptr() in own for tensor in twin.parameters())
    inputs = torch.randn(1, 4, 2, 8, 8), torch.tensor(500), torch.randn(1, 77, 32)
    assert 0.99 < cosine(twin(*inputs).sample, unet(*inputs).sample) < 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())


def test_a_cpu_is_no_card():
    assert not has_float8(torch.device("cpu"))
