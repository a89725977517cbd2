"""From a tier to what calls the UNet, and to a clip."""

from dataclasses import replace

import pytest
import torch

from models.video import VideoCreate
from services.execution.messages import GenerationRequest
from services.generation.accelerated import accelerate_with
from services.generation.acceleration.deep_cache import CachedDenoiser
from services.generation.acceleration.float8 import Float8Linear
from services.generation.acceleration.techniques import apply_techniques
from services.generation.memory import Placement
from services.generation.prompts import PromptEmbeddings
from services.generation.tier_denoisers import TierDenoisers
from services.tiers import BALANCED, EXACT, FAST
from services.validation import complete_params
from tests.tiny_checkpoint import make_pipeline

pytest_plugins = ["tests.tiny_fixtures"]

CPU = Placement(torch.device("cpu"), torch.float32, offload="none", vae_slicing=False)


def make(placement=CPU, techniques=frozenset()):
    pipe = make_pipeline()
    accelerated = accelerate_with(pipe, placement, techniques)
    return TierDenoisers(pipe.unet, placement, accelerated), accelerated


def test_each_tier_has_its_denoiser():
    denoisers, accelerated = make()
    assert denoisers.of(EXACT) is denoisers.of(BALANCED) is accelerated.denoiser
    fast = denoisers.of(FAST)
    assert isinstance(fast, CachedDenoiser)
    assert denoisers.of(FAST) is fast
    assert denoisers.of(replace(FAST, cache_interval=3)) is not fast


def test_a_depth_that_the_unet_has_not_is_its_deepest():
    denoisers, _ = make()
    assert isinstance(denoisers.of(replace(FAST, cache_depth=9)), CachedDenoiser)


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_weights_that_move_are_called_as_in_the_exact_tier(offload):
    denoisers, accelerated = make(replace(CPU, offload=offload))
    assert denoisers.of(FAST) is accelerated.denoiser


@torch.inference_mode()
def test_the_text_is_read_once_in_the_fast_tier_too():
    predictions = []
    for techniques in (frozenset(), frozenset({"text_attention"})):
        denoisers, _ = make(techniques=techniques)
        torch.manual_seed(1)
        embeddings = PromptEmbeddings(torch.randn(1, 77, 32), torch.randn(1, 77, 32), None)
        predict = denoisers.of(FAST).begin(embeddings, 4.0)
        latents = torch.randn(1, 4, 3, 8, 8)
        predictions.append(torch.stack([predict(latents, torch.tensor(t)) for t in (900.0, 700.0)]))
    torch.testing.assert_close(*predictions)


def test_8_bits_are_a_technique_that_compiling_knows():
    unet = make_pipeline().unet
    apply_techniques(unet, ("fused_qkv", "float8"))
    assert any(isinstance(module, Float8Linear) for module in unet.modules())


def test_a_fast_clip_is_another_than_the_exact_one(tiny_generator, tiny_entry):
    videos = {}
    for quality in ("exact", "fast"):
        asked = VideoCreate(
            prompt="a red circle",
            quality=quality,
            width=64,
            height=64,
            num_frames=2,
            num_inference_steps=4,
            scheduler="dpm++",
            seed=1,
        )
        request = GenerationRequest("video_1", tiny_entry, complete_params(asked, tiny_entry))
        first, again = (
            tiny_generator.generate(request, lambda progress: None, lambda: False).video for _ in range(2)
        )
        assert first == again
        videos[quality] = request.kind, first
    assert videos["exact"][1] != videos["fast"][1]
    assert videos["exact"][0] != videos["fast"][0]


def test_a_tier_that_the_model_has_lost_is_made_exactly(tiny_generator, tiny_entry):
    asked = VideoCreate(
        prompt="x", quality="fast", width=64, height=64, num_frames=1, num_inference_steps=2, seed=1
    )
    params = complete_params(asked, tiny_entry)
    without = replace(tiny_entry, name="without", tiers=(EXACT,))
    request = GenerationRequest("video_1", without, params)
    assert tiny_generator.generate(request, lambda progress: None, lambda: False).video
