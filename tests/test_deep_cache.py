"""The UNet in two parts against the UNet itself."""

import pytest
import torch

from services.generation.acceleration.attention import use_text_attention
from services.generation.acceleration.deep_cache import CachedDenoiser, OuterCall, WholeCall
from services.generation.denoiser import Denoiser
from services.generation.prompts import PromptEmbeddings
from tests.tiny_checkpoint import make_pipeline


@pytest.fixture(scope="module")
def unet():
    return make_pipeline().unet


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("size", [(1, 4, 3, 8, 8), (2, 4, 1, 9, 5)], ids=str)
def test_both_parts_together_are_the_unet(unet, depth, size):
    latents, context, timestep = draw(*size), draw(size[0], 77, 32), torch.tensor(601)
    whole, outer = WholeCall(unet, depth), OuterCall(unet, depth)
    prediction, features = whole(latents, timestep, context)
    assert torch.equal(prediction, unet(latents, timestep, encoder_hidden_states=context).sample)
    assert torch.equal(outer(latents, timestep, features, context)[0], prediction)
    (later,) = outer(latents * 0.9, torch.tensor(581), features, context)
    exact = unet(latents * 0.9, torch.tensor(581), encoder_hidden_states=context).sample
    assert not torch.equal(later, exact)
    assert torch.nn.functional.cosine_similarity(later.flatten(), exact.flatten(), dim=0) > 0.9


@torch.inference_mode()
def test_takes_keys_and_values_instead_of_the_text():
    unet = make_pipeline().unet
    latents, context, timestep = draw(2, 4, 3, 8, 8), draw(2, 77, 32), torch.tensor(601)
    exact = unet(latents, timestep, encoder_hidden_states=context).sample
    use_text_attention(unet)
    whole, outer = (kind(unet, 2, text_attention=True) for kind in (WholeCall, OuterCall))
    text = whole.read(context)
    prediction, features = whole(latents, timestep, *text)
    torch.testing.assert_close(prediction, exact)
    assert torch.equal(outer(latents, timestep, features, *text)[0], prediction)


@pytest.mark.parametrize("depth", [0, 3])
def test_refuses_a_depth_that_the_unet_has_not(unet, depth):
    with pytest.raises(ValueError, match=f"depth: {depth} is not between 1 and 2"):
        CachedDenoiser(unet, 2, depth)


class Calls:
    """Of how many frames the middle of the UNet saw, call by call."""

    def __init__(self, unet):
        self.rows = []
        self._hook = unet.mid_block.register_forward_hook(
            lambda module, inputs, output: self.rows.append(len(output))
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hook.remove()


def run(denoiser, guided):
    """Predictions of as many steps, each from the same latents ``[1, 4, 3, 8, 8]``."""
    embeddings = PromptEmbeddings(draw(1, 77, 32, seed=1), draw(1, 77, 32, seed=2), None)
    predict = denoiser.begin(embeddings, 4.0)
    latents = draw(1, 4, 3, 8, 8)
    return [
        predict(latents, torch.tensor(900 - 100 * index), guided=each) for index, each in enumerate(guided)
    ]


@torch.inference_mode()
def test_an_interval_of_one_is_exact(unet):
    guided = [True, True, False]
    for ours, exact in zip(run(CachedDenoiser(unet, 1, 1), guided), run(Denoiser(unet), guided), strict=True):
        assert torch.equal(ours, exact)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("guided", "rows"),
    [
        pytest.param([True] * 7, [6, 6, 6], id="once in three calls"),
        pytest.param([True, False, False, False], [6, 3], id="guidance ends"),
        pytest.param([False, True, True, True, True], [3, 6, 6], id="guidance begins"),
    ],
)
def test_when_the_inner_layers_are_computed(unet, guided, rows):
    with Calls(unet) as calls:
        run(CachedDenoiser(unet, 3, 1), guided)
    assert calls.rows == rows


@torch.inference_mode()
def test_where_guidance_ends_the_prompts_half_is_reused(unet):
    _, after = run(CachedDenoiser(unet, 2, 2), [True, False])
    _, without = run(CachedDenoiser(unet, 2, 2), [False, False])
    torch.testing.assert_close(after, without)


@torch.inference_mode()
def test_nothing_is_kept_from_run_to_run(unet):
    denoiser = CachedDenoiser(unet, 2, 1)
    first, second = (run(denoiser, [True, True]) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
