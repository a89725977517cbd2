"""Batches through the real generator, on the toy checkpoint."""

import threading
from concurrent.futures import wait
from io import BytesIO

import av
import numpy as np
import pytest
import torch

from models.video import VideoParams
from services.catalogue import Catalogue
from services.execution.executor import GenerationCancelled
from services.execution.messages import GenerationRequest
from services.generation.batch_size import most_together
from services.generation.encoding import VideoEncoder
from services.generation.lone_clip import LoneClip
from services.generation.memory import GIB, Placement
from tests.test_generator import ABSURD_BYTES

pytest_plugins = ["tests.tiny_fixtures"]

CPU = torch.device("cpu")
LONG = "a red circle moving left " * 12


class HeardClip(LoneClip):
    """A clip that remembers what it was told, and can be cancelled after a step."""

    def __init__(self, request, cancel_after=None):
        super().__init__(request, self._hear, lambda: self.steps[-1:] == [cancel_after])
        self.steps = []
        self.fits = []

    def _hear(self, progress):
        self.steps.append(progress.step)

    def leave_device(self, fits=1):
        self.fits.append(fits)

    @property
    def ended(self):
        return self._end


@pytest.fixture
def make_clip(tiny_entry):
    def make(number, cancel_after=None, **changes):
        params = {
            "prompt": ("a red circle moving left", "a blue star", "a green square")[number],
            "negative_prompt": "",
            "width": 64,
            "height": 64,
            "num_frames": 4,
            "fps": 8,
            "num_inference_steps": 2,
            "guidance_scale": (4.0, 2.0, 9.0)[number],
            "scheduler": "euler_a",
            "seed": number,
        }
        request = GenerationRequest(f"video_{number}", tiny_entry, VideoParams(**(params | changes)))
        return HeardClip(request, cancel_after)

    return make


def frames_of(completed):
    with av.open(BytesIO(completed.video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def same_picture(first, second):
    return np.abs(frames_of(first) - frames_of(second)).mean() < 0.5


def test_each_clip_of_a_batch_is_its_own(tiny_generator, make_clip):
    clips = [make_clip(number) for number in range(3)]
    tiny_generator.make(clips)
    for number, clip in enumerate(clips):
        completed = clip.result()
        assert completed.job_id == f"video_{number}"
        assert clip.steps == [0, 1, 2]
        assert completed.timings.denoise > 0
        assert completed.thumbnail
        alone = make_clip(number)
        tiny_generator.make([alone])
        assert same_picture(completed, alone.result())
    assert not same_picture(clips[0].result(), clips[1].result())


def test_texts_of_other_lengths_join_the_batch(tiny_generator, make_clip):
    clips = [make_clip(0), make_clip(1, prompt=LONG), make_clip(2)]
    tiny_generator.make(clips)
    for clip in clips:
        assert clip.result().video
        assert clip.fits == [1]


def test_one_that_is_cancelled_ends_at_once_and_leaves_the_others(tiny_generator, make_clip):
    clips = [make_clip(0), make_clip(1, cancel_after=1), make_clip(2)]
    tiny_generator.make(clips)
    assert isinstance(clips[1].ended.exception(), GenerationCancelled)
    assert clips[1].steps == [0, 1]
    assert clips[0].result().video
    assert clips[2].result().video


def test_a_batch_without_memory_is_halved_before_any_job_fails(tiny_generator, make_clip):
    unet = tiny_generator._models["tiny"].pipe.unet

    def allocate(module, inputs):
        if len(inputs[0]) > 2:  # one clip, with and without its prompt
            torch.empty(ABSURD_BYTES, dtype=torch.uint8)

    clips = [make_clip(number, num_frames=5) for number in range(3)]
    handle = unet.register_forward_pre_hook(allocate)
    try:
        tiny_generator.make(clips)
    finally:
        handle.remove()
    for clip in clips:
        assert frames_of(clip.result()).shape == (5, 64, 64, 3)
        assert clip.fits == [1]
    assert clips[0].steps[0] == 0
    assert clips[0].steps[-3:] == [0, 1, 2]


def test_a_clip_that_fails_in_decoding_fails_alone(tiny_generator, make_clip):
    vae = tiny_generator._models["tiny"].pipe.vae
    calls = []

    def spoil(module, inputs, output):
        calls.append(1)
        return output * float("nan") if len(calls) == 2 else output

    clips = [make_clip(number) for number in range(3)]
    handle = vae.decoder.register_forward_hook(spoil)
    try:
        tiny_generator.make(clips)
    finally:
        handle.remove()
    assert clips[1].ended.exception().code == "invalid_output"
    assert clips[0].result().video
    assert clips[2].result().video


def test_an_unexpected_error_fails_what_is_on_the_device(tiny_generator, make_clip):
    vae = tiny_generator._models["tiny"].pipe.vae
    calls = []

    def fail(module, inputs):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("a shape is wrong")

    clips = [make_clip(number) for number in range(3)]
    handle = vae.decoder.register_forward_pre_hook(fail)
    try:
        tiny_generator.make(clips)
    finally:
        handle.remove()
    assert clips[0].result().video
    for clip in clips[1:]:
        assert isinstance(clip.ended.exception(), RuntimeError)


def test_the_device_is_free_before_the_clip_is_encoded(tiny_generator, make_clip, monkeypatch):
    gate = threading.Event()
    original = VideoEncoder.finish

    def late(encoder):
        assert gate.wait(60)
        return original(encoder)

    monkeypatch.setattr(VideoEncoder, "finish", late)
    first, second = make_clip(0), make_clip(1)
    tiny_generator.make([first])
    tiny_generator.make([second])
    assert (first.fits, second.fits) == ([1], [1])
    assert not first.ended.done()
    gate.set()
    done = wait([first.ended, second.ended], timeout=60)
    assert not done.not_done
    assert first.result().timings.encode > 0


REFERENCE = Catalogue.create("demo").get("text-to-video-ms-1.7b")
DEFAULTS = VideoParams(
    prompt="",
    negative_prompt="",
    width=256,
    height=256,
    num_frames=16,
    fps=8,
    num_inference_steps=2,
    guidance_scale=4.0,
    scheduler="ddim",
    seed=0,
)


@pytest.mark.parametrize(
    ("device", "offload", "limit", "free_gib", "frames", "together"),
    [
        ("cpu", "none", None, 1000, 16, 1),
        ("cpu", "none", 3, 1000, 16, 3),
        ("cuda", "none", None, 1000, 16, 2),
        ("cuda", "none", 8, 1000, 16, 8),
        ("cuda", "none", 8, 20, 16, 3),
        ("cuda", "none", 8, 20, 64, 1),
        ("cuda", "none", 8, 1, 16, 1),
        ("cuda", "model", None, 1000, 16, 1),
        ("cuda", "model", 4, 1000, 16, 4),
    ],
)
def test_batches_are_bounded_by_memory(monkeypatch, device, offload, limit, free_gib, frames, together):
    """The device's memory is given; what is chosen for it needs no device."""
    monkeypatch.setattr("services.generation.batch_size._free_for_clips", lambda device: free_gib * GIB)
    params = DEFAULTS.model_copy(update={"num_frames": frames})
    placement = Placement(torch.device(device), torch.float16, offload, False)
    assert most_together(GenerationRequest("video_1", REFERENCE, params), placement, limit) == together


def test_what_makes_jobs_alike(tiny_entry):
    def kind(**changes):
        return GenerationRequest("video_1", tiny_entry, DEFAULTS.model_copy(update=changes)).kind

    for changes in (
        {"prompt": "x"},
        {"negative_prompt": "x"},
        {"seed": 9},
        {"guidance_scale": 7.5},
        {"fps": 9},
    ):
        assert kind(**changes) == kind()
    others = (
        {"width": 64},
        {"height": 64},
        {"num_frames": 8},
        {"num_inference_steps": 3},
        {"scheduler": "dpm++"},
        {"quality": "fast"},
        {"guidance_scale": 1.0},
    )
    for changes in others:
        assert kind(**changes) != kind()
