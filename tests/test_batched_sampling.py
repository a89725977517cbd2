"""Clips that are sampled together become what each would become alone."""

import pytest
import torch

from services.catalogue_entry import SCHEDULERS
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.generation.pacing import Pacer
from services.generation.prompts import encode_prompts
from services.generation.sampling import Watch, sample, sample_together
from tests.test_sampling import CPU, make_params
from tests.tiny_checkpoint import make_pipeline


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


def embed(pipe, params):
    guidance = params.guidance_scale > 1
    return encode_prompts(pipe, params.prompt, params.negative_prompt, guidance=guidance, device=CPU)


def alone(pipe, params):
    with torch.inference_mode():
        return sample(
            pipe,
            embed(pipe, params),
            params,
            device=CPU,
            on_step=lambda step: None,
            is_cancelled=lambda: False,
        )


def together(pipe, batch, watches=None):
    quiet = Watch(lambda step: None, lambda: False)
    with torch.inference_mode():
        embeddings = [embed(pipe, params) for params in batch]
        return sample_together(pipe, embeddings, batch, watches or [quiet] * len(batch), device=CPU)


def cosine(first, second):
    return torch.nn.functional.cosine_similarity(first.flatten(), second.flatten(), dim=0).item()


def three_clips(**same):
    return [
        make_params(seed=1, **same),
        make_params(seed=2, prompt="a blue star", negative_prompt="white", **same),
        make_params(seed=3, prompt="a green square moving up on black background", **same),
    ]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_each_clip_is_as_it_would_be_alone(pipe, scheduler):
    batch = [
        params.model_copy(update={"guidance_scale": scale})
        for params, scale in zip(three_clips(scheduler=scheduler), (2.0, 4.5, 9.0), strict=True)
    ]
    for params, sampled in zip(batch, together(pipe, batch), strict=True):
        expected = alone(pipe, params)
        assert cosine(sampled, expected) >= 0.99999
        assert (sampled - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_clips_without_guidance(pipe):
    batch = three_clips(guidance_scale=1.0, scheduler="euler_a")
    for params, sampled in zip(batch, together(pipe, batch), strict=True):
        assert cosine(sampled, alone(pipe, params)) >= 0.99999


def test_one_that_is_cancelled_leaves_the_others(pipe):
    batch = three_clips(scheduler="ddpm", num_inference_steps=4)
    steps = [[], [], []]
    watches = [Watch(told.append, lambda: False) for told in steps]
    watches[1] = Watch(steps[1].append, lambda: steps[1][-1] == 2)
    first, second, third = together(pipe, batch, watches)
    assert isinstance(second, GenerationCancelled)
    assert steps == [[0, 1, 2, 3, 4], [0, 1, 2], [0, 1, 2, 3, 4]]
    undisturbed = together(pipe, batch)
    assert torch.equal(first, undisturbed[0])
    assert torch.equal(third, undisturbed[2])


def test_nothing_is_computed_for_clips_that_are_all_cancelled(pipe):
    calls = []
    handle = pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    try:
        sampled = together(pipe, three_clips(), [Watch(lambda step: None, lambda: bool(calls))] * 3)
    finally:
        handle.remove()
    assert all(isinstance(each, GenerationCancelled) for each in sampled)
    assert len(calls) == 1


def test_one_that_is_not_finite_fails_alone(pipe):
    def spoil(module, inputs, output):
        prediction = output[0].clone()
        prediction[1] = float("nan")
        return (prediction,)

    handle = pipe.unet.register_forward_hook(spoil)
    try:
        first, second, third = together(pipe, three_clips(guidance_scale=1.0))
    finally:
        handle.remove()
    assert isinstance(second, ExecutionFailed)
    assert second.code == "invalid_output"
    assert torch.isfinite(first).all()
    assert torch.isfinite(third).all()


def test_a_device_that_works_at_once_is_not_waited_for():
    pacer = Pacer(CPU)
    for _ in range(3):
        pacer.step()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_host_stays_within_two_steps_of_the_device():
    device = torch.device("cuda", 0)
    pacer, matrix = Pacer(device), torch.randn(4096, 4096, device=device)
    done = []
    for _ in range(8):
        for _ in range(20):
            matrix = matrix @ matrix.softmax(0)
        event = torch.cuda.Event()
        event.record()
        done.append(event)
        pacer.step()
        assert sum(not each.query() for each in done) <= 1
