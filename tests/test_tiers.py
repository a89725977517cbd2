"""What a tier changes of the sampling."""

import pytest
import torch

from models.video import VideoParams
from services.generation.acceleration.deep_cache import CachedDenoiser
from services.generation.acceleration.guidance_interval import guided_calls
from services.generation.prompts import encode_prompts
from services.generation.sampling import sample
from services.generation.schedulers import make_scheduler
from services.tiers import BALANCED, EXACT, FAST, Tier
from tests.tiny_checkpoint import make_pipeline

CPU = torch.device("cpu")
STEPS = 6
INTERVAL = (0.5, 5.0)


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


class Calls:
    """How many samples the UNet and its middle were shown, call by call."""

    def __init__(self, unet):
        self.unet, self.middle = [], []
        self._hooks = [
            unet.transformer_in.register_forward_hook(self._count(self.unet)),
            unet.mid_block.register_forward_hook(self._count(self.middle)),
        ]

    @staticmethod
    def _count(batches):
        return lambda module, inputs, output: batches.append(len(inputs[0]) // 2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()


def run(pipe, tier, denoiser=None, **changes):
    """Latents of a clip of two frames."""
    params = VideoParams(
        **{
            "prompt": "a red circle moving left",
            "negative_prompt": "",
            "width": 64,
            "height": 64,
            "num_frames": 2,
            "fps": 8,
            "num_inference_steps": STEPS,
            "guidance_scale": 4.0,
            "scheduler": "dpm++",
            "quality": tier.quality,
            "seed": 3,
        }
        | changes
    )
    with torch.inference_mode():
        embeddings = encode_prompts(pipe, params.prompt, "", guidance=params.guidance_scale > 1, device=CPU)
        return sample(
            pipe,
            embeddings,
            params,
            device=CPU,
            on_step=lambda step: None,
            is_cancelled=lambda: False,
            denoiser=denoiser,
            tier=tier,
        )


def test_outside_of_its_interval_guidance_costs_nothing(pipe):
    tier = Tier("fast", "", guidance_sigmas=INTERVAL)
    with Calls(pipe.unet) as calls:
        limited = run(pipe, tier)
    scheduler = make_scheduler("dpm++", pipe.scheduler.config)
    scheduler.set_timesteps(STEPS)
    guided = guided_calls(scheduler, INTERVAL)
    assert set(guided) == {True, False}
    assert calls.unet == [2 if each else 1 for each in guided]
    assert not torch.equal(limited, run(pipe, EXACT))


def test_an_interval_that_holds_all_is_exact(pipe):
    everywhere = Tier("fast", "", guidance_sigmas=(0.0, float("inf")))
    assert torch.equal(run(pipe, everywhere), run(pipe, EXACT))
    nowhere = Tier("fast", "", guidance_sigmas=(0.0, 0.0))
    assert torch.equal(run(pipe, nowhere), run(pipe, EXACT, guidance_scale=1.0))


def test_no_guidance_stays_no_guidance(pipe):
    with Calls(pipe.unet) as calls:
        run(pipe, Tier("fast", "", guidance_sigmas=INTERVAL), guidance_scale=1.0)
    assert calls.unet == [1] * STEPS


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++", "euler", "heun"])
def test_the_interval_is_one_of_noise_levels_whatever_the_sampler(pipe, scheduler):
    sampler = make_scheduler(scheduler, pipe.scheduler.config)
    sampler.set_timesteps(50)
    guided = guided_calls(sampler, INTERVAL)
    alphas = sampler.alphas_cumprod
    for timestep, is_guided in zip(sampler.timesteps, guided, strict=True):
        signal = float(alphas[round(float(timestep))])
        assert is_guided == (INTERVAL[0] < ((1 - signal) / signal) ** 0.5 <= INTERVAL[1])
    assert guided_calls(sampler, None) == [True] * len(guided)


def test_trailing_steps_begin_at_the_end_of_the_schedule(pipe):
    config = pipe.scheduler.config
    for name in ("ddim", "dpm++", "euler"):
        scheduler = make_scheduler(name, config, "trailing")
        scheduler.set_timesteps(10)
        assert scheduler.timesteps.tolist() == list(range(999, 0, -100))
    leading = make_scheduler("ddim", config)
    leading.set_timesteps(10)
    assert leading.timesteps[0] < 999


@pytest.mark.parametrize("tier", [BALANCED, FAST], ids=lambda tier: tier.quality)
def test_a_tier_gives_a_seed_one_clip(pipe, tier):
    denoiser = CachedDenoiser(pipe.unet, tier.cache_interval, tier.cache_depth)
    first = run(pipe, tier, denoiser)
    assert torch.equal(run(pipe, tier, denoiser), first)
    assert not torch.equal(run(pipe, tier, denoiser, seed=4), first)
    assert torch.isfinite(first).all()


def test_every_second_step_of_the_cache_is_whole(pipe):
    with Calls(pipe.unet) as calls:
        run(pipe, EXACT, CachedDenoiser(pipe.unet, 2, 1))
    assert (calls.unet, calls.middle) == ([2] * STEPS, [2] * (STEPS // 2))
