"""Pictures of a clip in the making."""

from io import BytesIO
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from services.catalogue import Catalogue
from services.catalogue_entry import SCHEDULERS
from services.execution.messages import GenerationRequest, GeneratorConfig, Progress
from services.generation.generator import Generator
from services.generation.preview import MAX_PREVIEW_BYTES, Previewer, estimate_clean
from services.generation.prompts import encode_prompts
from services.generation.sampling import sample
from services.generation.schedulers import make_scheduler
from tests.test_sampling import make_params
from tests.tiny_checkpoint import make_pipeline

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pipe():
    pipeline = make_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def predicting(pipe, prediction_type):
    """The scheduler's configuration; what it lists as left at its default would be overruled."""
    return pipe.scheduler.config | {"prediction_type": prediction_type, "_use_default_values": []}


def preview_of(latents, *, channels=4, scale=0.18215, vae=None, may_decode=True):
    vae = vae or SimpleNamespace(config=SimpleNamespace(latent_channels=channels, scaling_factor=scale))
    previewer = Previewer(SimpleNamespace(vae=vae), CPU, may_decode=may_decode)
    previewer.offer(lambda: latents)
    return previewer.take()


def opened(picture):
    image = Image.open(BytesIO(picture))
    assert image.format == "JPEG"
    return image


def test_latents_of_stable_diffusion_become_colours():
    # The fourth channel alone, far below zero: yellowish green has least of blue, so blue is brightest here.
    latents = torch.zeros(1, 4, 32, 48)
    latents[:, 3] = -1.0
    image = opened(preview_of(latents))
    assert image.size == (48, 32)
    red, green, blue = image.getpixel((20, 20))
    assert (red, green, blue) == pytest.approx((151, 162, 188), abs=3)


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (128, 128), (40, 200)])
def test_pictures_are_small_whatever_they_show(size):
    picture = preview_of(10 * torch.randn(1, 4, *size, generator=torch.Generator().manual_seed(1)))
    assert 100 < len(picture) <= MAX_PREVIEW_BYTES
    assert max(opened(picture).size) <= 128


def test_latents_that_are_not_finite_are_no_reason_to_fail():
    assert opened(preview_of(torch.full((1, 4, 8, 8), torch.nan))).size == (8, 8)


def test_other_latents_are_decoded_where_the_vae_is_at_hand(pipe):
    vae = pipe.vae
    try:
        vae.register_to_config(scaling_factor=0.5)
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            image = opened(preview_of(latents, vae=vae))
            decoded = vae.decode(latents / 0.5).sample[0]
        assert image.size == (64, 64)
        expected = ((decoded.mean((1, 2)) * 0.5 + 0.5) * 255).tolist()
        pixels = torch.tensor(image.get_flattened_data(), dtype=torch.float32)
        assert pixels.mean(0).tolist() == pytest.approx(expected, abs=6)
        assert preview_of(latents, vae=vae, may_decode=False) is None
    finally:
        vae.register_to_config(scaling_factor=0.18215)


def test_a_picture_is_taken_once_and_the_next_one_waits_its_time(pipe):
    calls = []
    previewer = Previewer(pipe, CPU, may_decode=True)

    def estimate():
        calls.append(1)
        return torch.zeros(1, 4, 8, 8)

    for _ in range(50):
        previewer.offer(estimate)
    assert previewer.take() is not None
    assert previewer.take() is None
    assert len(calls) == 1
    # What it costs is known now: the next clip's first one waits until it is a small part of the time.
    previewer.begin()
    previewer.offer(estimate)
    assert previewer.take() is None


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_estimate_finds_what_the_noise_hides(pipe, scheduler, prediction_type):
    """A model that knows the clip: whatever the scheduler, the estimate is that clip at every step."""
    clean = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(3))

    class Knowing(torch.nn.Module):
        config = pipe.unet.config

        def forward(self, inputs, timestep, encoder_hidden_states, return_dict):
            signal = made.alphas_cumprod[int(timestep)]
            noise = (inputs - signal.sqrt() * clean) / (1 - signal).sqrt()
            answers = {
                "epsilon": noise,
                "v_prediction": signal.sqrt() * noise - (1 - signal).sqrt() * clean,
            }
            return (answers[prediction_type],)

    config = predicting(pipe, prediction_type)
    made = make_scheduler(scheduler, config)
    knowing = SimpleNamespace(
        unet=Knowing(), scheduler=SimpleNamespace(config=config), vae_scale_factor=pipe.vae_scale_factor
    )
    params = make_params(scheduler=scheduler, num_inference_steps=6)
    estimates = []
    with torch.inference_mode():
        embeddings = encode_prompts(pipe, "a star", "", guidance=True, device=CPU)
        sample(
            knowing,
            embeddings,
            params,
            device=CPU,
            on_step=lambda step: None,
            is_cancelled=lambda: False,
            on_estimate=lambda estimate: estimates.append(estimate()),
        )
    assert len(estimates) == 6
    for estimate in estimates:
        torch.testing.assert_close(estimate, clean[:, :, 1], atol=2e-3, rtol=2e-3)


def test_looking_changes_nothing(pipe):
    def latents(on_estimate):
        with torch.inference_mode():
            embeddings = encode_prompts(pipe, "a star", "", guidance=True, device=CPU)
            return sample(
                pipe,
                embeddings,
                make_params(),
                device=CPU,
                on_step=lambda step: None,
                is_cancelled=lambda: False,
                on_estimate=on_estimate,
            )

    assert torch.equal(latents(None), latents(lambda estimate: estimate()))


def test_the_estimate_is_of_the_middle_frame(pipe):
    scheduler = make_scheduler("ddim", predicting(pipe, "sample"))
    frames = torch.arange(5.0).reshape(1, 1, 5, 1, 1).expand(1, 4, 5, 2, 2)
    assert estimate_clean(scheduler, frames, frames, torch.tensor(10)).unique().tolist() == [2.0]


def test_the_generator_sends_previews_with_its_progress():
    entry = Catalogue.create("demo").default_entry
    request = GenerationRequest("video_1", entry, make_params(num_frames=16, num_inference_steps=4))
    seen: list[Progress] = []
    Generator(GeneratorConfig(device="cpu")).generate(request, seen.append, lambda: False)
    assert [progress.step for progress in seen] == [0, 1, 2, 3, 4]
    previews = [progress.preview for progress in seen if progress.preview is not None]
    assert seen[0].preview is None
    assert seen[1].preview is not None
    assert all(opened(preview).size == (64, 64) for preview in previews)
    assert "preview" not in repr(seen[1])
