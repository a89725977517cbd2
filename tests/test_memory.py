"""Where models go, and smaller sizes after memory ran out."""

from dataclasses import replace

import pytest
import torch

from models.video import VideoParams
from services.catalogue import Catalogue
from services.catalogue_entry import Limits, Range
from services.execution.messages import GeneratorConfig
from services.generation.memory import (
    GIB,
    choose_device,
    choose_dtype,
    choose_placement,
    free_bytes,
    is_out_of_memory,
    needed_bytes,
)
from services.generation.smaller_size import fits, smaller_sizes
from tests.tiny_checkpoint import make_pipeline

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
REFERENCE = Catalogue.create("demo").get("text-to-video-ms-1.7b")
DEMO = Catalogue.create("demo").get("demo")
PARAMS = VideoParams(
    prompt="",
    negative_prompt="",
    width=256,
    height=128,
    num_frames=16,
    fps=8,
    num_inference_steps=2,
    guidance_scale=4.0,
    scheduler="ddim",
    seed=0,
)


@pytest.mark.parametrize(
    ("name", "device", "entry", "dtype"),
    [
        ("auto", CUDA, REFERENCE, torch.float16),
        ("auto", CUDA, DEMO, torch.float32),
        ("auto", CPU, DEMO, torch.float32),
        ("bfloat16", CPU, REFERENCE, torch.bfloat16),
        ("float32", CUDA, REFERENCE, torch.float32),
    ],
)
def test_number_format(name, device, entry, dtype):
    assert choose_dtype(name, device, entry) == dtype


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        ({"avx2": True}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_a_large_model_on_a_cpu_follows_its_instructions(monkeypatch, features, dtype):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: features)
    assert choose_dtype("auto", CPU, REFERENCE) == dtype


def test_float32_needs_twice_the_memory():
    assert needed_bytes(REFERENCE, torch.float16) == 6 * GIB
    assert needed_bytes(REFERENCE, torch.float32) == 12 * GIB


@pytest.mark.parametrize(
    ("free_gib", "offload", "slicing"),
    [(80, "none", False), (7, "none", True), (5, "model", True), (2, "sequential", True)],
)
def test_a_small_card_gets_offload_and_slicing(monkeypatch, free_gib, offload, slicing):
    """The card's size is given; what is chosen for it needs no card."""
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free_gib * GIB, 80 * GIB))
    placement = choose_placement(REFERENCE, GeneratorConfig(), CUDA)
    assert (placement.offload, placement.vae_slicing) == (offload, slicing)
    chosen = choose_placement(REFERENCE, GeneratorConfig(offload="model", vae_slicing="off"), CUDA)
    assert (chosen.offload, chosen.vae_slicing) == ("model", False)


@pytest.mark.parametrize(
    ("free_gib", "said"),
    [
        (7.6, "cuda:0 in float16, offload none, VAE slicing on"),
        (5.5, "cuda:0 in float16, offload model, VAE slicing on"),
    ],
)
def test_what_was_picked_for_a_card_of_8_gb_and_one_of_6_can_be_said(free_gib, said):
    assert str(choose_placement(REFERENCE, GeneratorConfig(), CUDA, free=int(free_gib * GIB))) == said


def test_a_cpu_offloads_nothing():
    placement = choose_placement(REFERENCE, GeneratorConfig(offload="sequential"), CPU)
    assert (placement.offload, placement.vae_slicing) == ("none", False)
    assert choose_placement(REFERENCE, GeneratorConfig(vae_slicing="on"), CPU).decode_pixels == 1


def test_free_memory_is_between_nothing_and_everything():
    assert 0 < free_bytes(CPU) < 2**50


def test_auto_is_a_device_of_this_machine():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_recognises_torchs_own_refusal():
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refusal.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("a shape is wrong"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


LIMITS = Limits(Range(64, 512, 64), Range(64, 512, 64), Range(1, 64), max_pixels=2**24)


def test_smaller_sizes_shrink_within_the_limits():
    sizes = [(each.width, each.height, each.num_frames) for each in smaller_sizes(PARAMS, LIMITS)]
    assert sizes[0] == (256, 128, 8)
    assert sizes[-1] == (64, 64, 4)
    pixels = [width * height * frames for width, height, frames in sizes]
    assert pixels == sorted(pixels, reverse=True)
    assert pixels[0] < 256 * 128 * 16
    assert all(width % 64 == 0 and height % 64 == 0 for width, height, _ in sizes)


def test_the_smallest_size_has_no_smaller_one():
    smallest = PARAMS.model_copy(update={"width": 64, "height": 64, "num_frames": 1})
    assert list(smaller_sizes(smallest, LIMITS)) == []


def test_a_size_fits_when_it_runs():
    pipe = make_pipeline()
    placement = choose_placement(replace(DEMO), GeneratorConfig(), CPU)
    params = PARAMS.model_copy(update={"width": 64, "height": 64, "num_frames": 2})
    assert fits(pipe, params, placement)
    pipe.vae.register_forward_pre_hook(lambda module, inputs: None)
    handle = pipe.vae.decoder.register_forward_pre_hook(
        lambda module, inputs: torch.empty(2**60, dtype=torch.uint8)
    )
    assert not fits(pipe, params, placement)
    handle.remove()
    assert fits(pipe, params, placement)
