"""Latents to frames."""

import numpy as np
import pytest
import torch

from services.execution.executor import ExecutionFailed
from services.generation.decoding import decode_frames, frames_per_chunk
from tests.tiny_checkpoint import make_pipeline


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


@pytest.fixture
def latents():
    return torch.randn(1, 4, 5, 8, 8, generator=torch.Generator().manual_seed(4)) * 0.18215


def decode(pipe, latents, chunk):
    with torch.inference_mode():
        return list(decode_frames(pipe, latents, chunk))


def test_equals_the_pipelines_own_frames(pipe, latents):
    (frames,) = decode(pipe, latents, 5)
    with torch.inference_mode():
        video = pipe.video_processor.postprocess_video(pipe.decode_latents(latents), output_type="np")[0]
    assert frames.dtype == np.uint8
    assert frames.shape == (5, 64, 64, 3)
    assert np.array_equal(frames, (video * 255).round().astype(np.uint8))


@pytest.mark.parametrize(("chunk", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (16, [5])])
def test_chunks_join_to_the_same_clip(pipe, latents, chunk, sizes):
    chunks = decode(pipe, latents, chunk)
    assert [len(frames) for frames in chunks] == sizes
    whole = decode(pipe, latents, 5)[0].astype(int)
    assert np.abs(np.concatenate(chunks).astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "pixels", "frames"), [(64, 64, 65536, 16), (256, 256, 65536, 1), (512, 512, 1, 1)]
)
def test_frames_per_chunk(height, width, pixels, frames):
    assert frames_per_chunk(height, width, pixels=pixels) == frames


def test_refuses_what_is_not_a_number(pipe, latents):
    latents[0, 0, 3, 2, 2] = float("nan")
    with pytest.raises(ExecutionFailed, match="not finite") as failure:
        decode(pipe, latents, 2)
    assert failure.value.code == "invalid_output"


def test_refuses_a_black_clip(pipe, latents):
    handle = pipe.vae.decoder.register_forward_hook(lambda module, inputs, output: output * 0 - 1)
    try:
        with pytest.raises(ExecutionFailed, match="every frame is black") as failure:
            decode(pipe, latents, 2)
    finally:
        handle.remove()
    assert failure.value.code == "invalid_output"


def test_some_black_frames_are_fine(pipe, latents):
    calls = []

    def blacken_the_first(module, inputs, output):
        calls.append(1)
        return output * 0 - 1 if len(calls) == 1 else output

    handle = pipe.vae.decoder.register_forward_hook(blacken_the_first)
    try:
        chunks = decode(pipe, latents, 1)
    finally:
        handle.remove()
    assert chunks[0].max() == 0
    assert chunks[1].max() > 3
