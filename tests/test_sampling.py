"""Our sampling loop against the pipeline's own."""

import pytest
import torch

from models.video import VideoParams
from services.catalogue_entry import SCHEDULERS
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.generation.prompts import encode_prompts
from services.generation.sampling import sample
from services.generation.schedulers import make_scheduler
from tests.tiny_checkpoint import make_pipeline

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pipe():
    pipeline = make_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_params(**changes):
    params = {
        "prompt": "a red circle moving left",
        "negative_prompt": "",
        "width": 64,
        "height": 64,
        "num_frames": 3,
        "fps": 8,
        "num_inference_steps": 3,
        "guidance_scale": 4.0,
        "scheduler": "ddim",
        "seed": 11,
    }
    return VideoParams(**(params | changes))


def run_ours(pipe, params, *, is_cancelled=lambda: False, on_step=lambda step: None):
    with torch.inference_mode():
        embeddings = encode_prompts(
            pipe,
            params.prompt,
            params.negative_prompt,
            guidance=params.guidance_scale > 1,
            device=CPU,
        )
        return sample(pipe, embeddings, params, device=CPU, on_step=on_step, is_cancelled=is_cancelled)


def run_pipeline(pipe, params):
    config = pipe.scheduler.config
    pipe.scheduler = make_scheduler(params.scheduler, config)
    try:
        return pipe(
            params.prompt,
            negative_prompt=params.negative_prompt,
            height=params.height,
            width=params.width,
            num_frames=params.num_frames,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(params.seed),
            output_type="latent",
        ).frames
    finally:
        pipe.scheduler = make_scheduler("ddim", config)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_equals_the_pipeline_with_every_scheduler(pipe, scheduler, guidance_scale):
    params = make_params(scheduler=scheduler, guidance_scale=guidance_scale)
    assert torch.equal(run_ours(pipe, params), run_pipeline(pipe, params))


@pytest.mark.parametrize(
    "changes",
    [
        {"negative_prompt": "a blue star"},
        {"num_frames": 1},
        {"num_frames": 5, "negative_prompt": "white", "scheduler": "dpm++"},
        {"width": 72, "height": 40},
        {"seed": 2**32 - 1},
        {"num_inference_steps": 7, "scheduler": "pndm"},
        {"num_inference_steps": 6, "scheduler": "euler_a"},
    ],
    ids=str,
)
def test_equals_the_pipeline(pipe, changes):
    params = make_params(**changes)
    assert torch.equal(run_ours(pipe, params), run_pipeline(pipe, params))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 4])
def test_reports_every_step_once(pipe, scheduler, steps):
    seen = []
    latents = run_ours(
        pipe, make_params(scheduler=scheduler, num_inference_steps=steps, num_frames=1), on_step=seen.append
    )
    assert seen == list(range(steps + 1))
    assert latents.shape == (1, 4, 1, 8, 8)
    assert torch.isfinite(latents).all()


def test_runs_are_independent(pipe):
    params = make_params(scheduler="dpm++")
    first = run_ours(pipe, params)
    run_ours(pipe, make_params(scheduler="unipc", seed=3))
    assert torch.equal(run_ours(pipe, params), first)
    assert not torch.equal(run_ours(pipe, make_params(scheduler="dpm++", seed=12)), first)


def test_stops_before_the_next_call_of_the_unet(pipe):
    steps = []
    calls = []
    handle = pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    try:
        with pytest.raises(GenerationCancelled):
            run_ours(
                pipe,
                make_params(num_inference_steps=50),
                on_step=steps.append,
                is_cancelled=lambda: steps[-1] == 2,
            )
    finally:
        handle.remove()
    assert steps == [0, 1, 2]
    assert len(calls) == 2


def test_refuses_latents_that_are_not_finite(pipe):
    handle = pipe.unet.register_forward_hook(lambda module, inputs, output: (output[0] * float("nan"),))
    try:
        with pytest.raises(ExecutionFailed, match="not finite") as failure:
            run_ours(pipe, make_params())
    finally:
        handle.remove()
    assert failure.value.code == "invalid_output"


def test_refuses_an_unknown_scheduler(pipe):
    with pytest.raises(ExecutionFailed, match=r"scheduler 'magic' is unknown; accepted: dpm\+\+"):
        run_ours(pipe, make_params(scheduler="magic"))
