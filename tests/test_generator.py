"""The generator as a worker uses it, on the toy checkpoint."""

import json
from dataclasses import replace
from io import BytesIO

import av
import numpy as np
import pytest
import torch
from PIL import Image

from models.video import VideoParams
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.execution.messages import GenerationRequest, GeneratorConfig
from services.file_store import probe
from services.generation.generator import Generator
from services.generation.schedulers import make_scheduler
from tests.tiny_checkpoint import save_tiny_checkpoint

pytest_plugins = ["tests.tiny_fixtures"]

# More than any machine's address space: the allocator itself refuses it.
ABSURD_BYTES = 2**60


@pytest.fixture
def make_request(tiny_entry):
    def make(**changes):
        params = {
            "prompt": "a red circle moving left",
            "negative_prompt": "",
            "width": 64,
            "height": 64,
            "num_frames": 4,
            "fps": 8,
            "num_inference_steps": 2,
            "guidance_scale": 4.0,
            "scheduler": "dpm++",
            "seed": 5,
        }
        return GenerationRequest("video_1", tiny_entry, VideoParams(**(params | changes)))

    return make


def run(generator, request, *, is_cancelled=lambda: False, on_progress=lambda progress: None):
    return generator.generate(request, on_progress, is_cancelled)


def test_makes_a_clip(tiny_generator, make_request):
    progress = []
    completed = run(tiny_generator, make_request(), on_progress=progress.append)
    facts = probe(completed.video)
    assert (facts.width, facts.height, facts.num_frames, facts.fps) == (64, 64, 4, 8.0)
    with Image.open(BytesIO(completed.thumbnail)) as image:
        assert (image.format, image.size) == ("WEBP", (64, 64))
    assert [(each.job_id, each.step, each.total) for each in progress] == [
        ("video_1", n, 2) for n in range(3)
    ]
    timings = completed.timings.model_dump()
    assert timings.pop("queued") is None
    assert all(seconds >= 0 for seconds in timings.values())
    assert completed.timings.denoise > 0
    assert not completed.prompt_truncated
    assert completed.unknown_words == ()


def test_the_clip_shows_what_was_decoded(tiny_generator, make_request):
    """Against frames that the pipeline itself makes of the same seed."""
    request = make_request(num_frames=3)
    with av.open(BytesIO(run(tiny_generator, request).video)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    pipe = tiny_generator._models["tiny"].pipe
    scheduler = pipe.scheduler
    pipe.scheduler = make_scheduler("dpm++", scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    try:
        expected = pipe(
            request.params.prompt,
            height=64,
            width=64,
            num_frames=3,
            num_inference_steps=2,
            guidance_scale=4.0,
            generator=torch.Generator("cpu").manual_seed(5),
        ).frames[0]
    finally:
        pipe.scheduler = scheduler
    brightness = np.array([0.2126, 0.7152, 0.0722])  # BT.709; yuv420p keeps no more at full resolution
    assert np.corrcoef((frames @ brightness).ravel(), (expected @ brightness).ravel())[0, 1] > 0.99


def test_a_seed_reproduces_the_bytes(tiny_generator, make_request, tiny_entry):
    first = run(tiny_generator, make_request())
    run(tiny_generator, make_request(seed=6, scheduler="euler_a"))
    assert run(tiny_generator, make_request()).video == first.video
    fresh = Generator(GeneratorConfig(device="cpu"))
    assert run(fresh, make_request()).video == first.video
    assert run(tiny_generator, make_request(seed=7)).video != first.video


def test_parameters_are_in_the_file_unless_switched_off(tiny_generator, make_request):
    request = make_request()
    with av.open(BytesIO(run(tiny_generator, request).video)) as container:
        assert json.loads(container.metadata["comment"]) == {"model": "tiny", **request.params.model_dump()}
        assert container.metadata["title"] == request.params.prompt
    silent = Generator(GeneratorConfig(device="cpu", embed_metadata=False))
    with av.open(BytesIO(run(silent, request).video)) as container:
        assert not {"comment", "title"} & set(container.metadata)


def test_tells_of_dropped_text_and_unknown_words(tiny_generator, make_request):
    completed = run(tiny_generator, make_request(prompt="red " * 300 + "sideways star"))
    assert completed.prompt_truncated
    assert completed.dropped_text == "sideways star"
    assert completed.unknown_words == ("sideways",)


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_cancel_stops_before_the_next_step_or_the_decoding(tiny_generator, make_request, stop_at):
    seen = []
    with pytest.raises(GenerationCancelled):
        run(
            tiny_generator,
            make_request(),
            on_progress=lambda progress: seen.append(progress.step),
            is_cancelled=lambda: bool(seen) and seen[-1] == stop_at,
        )
    assert seen == list(range(stop_at + 1))
    assert run(tiny_generator, make_request()).video


def test_cancel_before_anything(tiny_generator, make_request):
    seen = []
    with pytest.raises(GenerationCancelled):
        run(tiny_generator, make_request(), on_progress=seen.append, is_cancelled=lambda: True)
    assert seen == []


class TestOutOfMemory:
    """The failures are torch's own: a module asks for more than there is."""

    @staticmethod
    def limit(pipe, largest):
        """Let the UNet's activations grow absurdly when the latents hold more than ``largest`` values."""

        def allocate(module, inputs):
            if inputs[0][:1].numel() > largest:
                torch.empty(ABSURD_BYTES, dtype=torch.uint8)

        return pipe.unet.register_forward_pre_hook(allocate)

    def test_names_a_smaller_size_that_was_tried(self, tiny_generator, make_request):
        handle = self.limit(tiny_generator._models["tiny"].pipe, 4 * 4 * 8 * 8)
        try:
            with pytest.raises(ExecutionFailed) as failure:
                run(tiny_generator, make_request(num_frames=16))
        finally:
            handle.remove()
        assert failure.value.code == "out_of_memory"
        assert failure.value.message == (
            "cpu ran out of memory at 64×64 with 16 frames; 32×32 with 8 frames fits"
        )

    def test_does_not_harm_the_next_job(self, tiny_generator, make_request):
        before = run(tiny_generator, make_request()).video
        loaded = tiny_generator.loaded
        handle = self.limit(tiny_generator._models["tiny"].pipe, 4 * 4 * 8 * 8)
        try:
            with pytest.raises(ExecutionFailed):
                run(tiny_generator, make_request(num_frames=16))
            assert run(tiny_generator, make_request()).video == before
        finally:
            handle.remove()
        assert tiny_generator.loaded == loaded

    def test_says_so_when_nothing_fits(self, tiny_generator, make_request):
        handle = self.limit(tiny_generator._models["tiny"].pipe, 0)
        try:
            with pytest.raises(ExecutionFailed, match="free memory there") as failure:
                run(tiny_generator, make_request())
        finally:
            handle.remove()
        assert failure.value.code == "out_of_memory"

    def test_other_errors_pass(self, tiny_generator, make_request):
        def fail(module, inputs):
            raise RuntimeError("a shape is wrong")

        handle = tiny_generator._models["tiny"].pipe.unet.register_forward_pre_hook(fail)
        try:
            with pytest.raises(RuntimeError, match="a shape is wrong"):
                run(tiny_generator, make_request())
        finally:
            handle.remove()


class TestModels:
    @pytest.fixture
    def generator(self):
        return Generator(GeneratorConfig(device="cpu"))

    def test_loads_once(self, generator, tiny_entry):
        generator.load(tiny_entry)
        first = generator._models["tiny"]
        generator.load(tiny_entry)
        assert generator._models["tiny"] is first
        assert generator.loaded == ("tiny",)
        generator.unload_all()
        assert generator.loaded == ()

    def test_keeps_several_while_there_is_room(self, generator, tiny_entry):
        generator.load(tiny_entry)
        generator.load(replace(tiny_entry, name="other"))
        assert generator.loaded == ("tiny", "other")

    def test_the_least_recently_used_makes_room(self, generator, tiny_entry):
        generator.load(tiny_entry)
        generator.load(replace(tiny_entry, name="other"))
        generator.load(tiny_entry)
        assert generator.loaded == ("other", "tiny")
        generator.load(replace(tiny_entry, name="giant", memory_gib=10_000.0))
        assert generator.loaded == ("giant",)

    def test_an_entry_that_changed_is_loaded_again(self, generator, tiny_entry, tmp_path):
        generator.load(tiny_entry)
        first = generator._models["tiny"]
        elsewhere = save_tiny_checkpoint(tmp_path / "elsewhere")
        generator.load(replace(tiny_entry, checkpoint=str(elsewhere)))
        assert generator._models["tiny"] is not first

    def test_a_failed_load_leaves_the_others(self, generator, tiny_entry, tmp_path):
        generator.load(tiny_entry)
        with pytest.raises(ExecutionFailed):
            generator.load(replace(tiny_entry, name="broken", checkpoint=str(tmp_path)))
        assert generator.loaded == ("tiny",)

    def test_the_first_job_loads(self, generator, make_request):
        assert run(generator, make_request()).timings.load > 0
        assert generator.loaded == ("tiny",)


def test_names_its_device():
    assert Generator(GeneratorConfig(device="cpu")).device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_refuses_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="finds no CUDA device"):
        Generator(GeneratorConfig(device="cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("offload", ["none", "model", "sequential"])
def test_a_clip_on_cuda_looks_like_the_cpus(make_request, tiny_generator, offload):
    generator = Generator(GeneratorConfig(device="cuda", dtype="float32", offload=offload))
    request = make_request(scheduler="ddim")
    clips = []
    for each in (generator, tiny_generator):
        with av.open(BytesIO(run(each, request).video)) as container:
            clips.append(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))
    assert np.abs(clips[0].astype(int) - clips[1]).mean() < 3
