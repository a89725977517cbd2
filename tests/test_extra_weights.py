"""Few-step LoRAs and distilled UNets, which join through the catalogue."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from models.video import VideoCreate
from services.catalogue_entry import GENERAL_SCHEDULERS, Weights
from services.execution.executor import ExecutionFailed
from services.execution.messages import GenerationRequest, GeneratorConfig
from services.generation.generator import Generator
from services.generation.loading import load_pipeline
from services.generation.memory import Placement
from services.tiers import EXACT
from services.validation import complete_params
from tests.tiny_checkpoint import make_pipeline

pytest_plugins = ["tests.tiny_fixtures"]

CPU = Placement(torch.device("cpu"), torch.float32, offload="none", vae_slicing=False)
OFFLINE = GeneratorConfig(device="cpu", local_files_only=True)
LAYER = "mid_block.attentions.0.proj_in"


def load(entry):
    return load_pipeline(entry, CPU, OFFLINE)


def save_lora(path, weight):
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    names = (f"unet.{LAYER}.lora_A.weight", f"unet.{LAYER}.lora_B.weight")
    save_file(dict(zip(names, (down, up), strict=True)), path)
    return (up @ down).reshape(weight.shape)


def test_a_few_step_lora_with_defaults_of_its_own(tiny_entry, tmp_path):
    weight = load(tiny_entry).unet.get_parameter(f"{LAYER}.weight")
    change = save_lora(tmp_path / "few.safetensors", weight)
    few = replace(
        tiny_entry,
        name="tiny-few-steps",
        defaults=replace(
            tiny_entry.defaults,
            width=64,
            height=64,
            num_frames=2,
            num_inference_steps=4,
            guidance_scale=1.0,
            scheduler="lcm",
        ),
        schedulers=("lcm", *GENERAL_SCHEDULERS),
        tiers=(EXACT,),
        lora=Weights(str(tmp_path), "few.safetensors", scale=0.5),
    )
    merged = load(few).unet.get_parameter(f"{LAYER}.weight")
    torch.testing.assert_close(merged, weight + 0.5 * change, atol=1e-5, rtol=1e-4)
    params = complete_params(VideoCreate(prompt="a red circle"), few)
    assert (params.num_inference_steps, params.guidance_scale, params.scheduler) == (4, 1.0, "lcm")
    generator = Generator(GeneratorConfig(device="cpu"))
    request = GenerationRequest("video_1", few, params)
    completed = generator.generate(request, lambda progress: None, lambda: False)
    assert completed.video[4:8] == b"ftyp"


def test_a_distilled_unet_takes_the_place_of_the_checkpoints(tiny_entry, tmp_path):
    unet = make_pipeline().unet
    for parameter in unet.parameters():
        parameter.data += 0.25
    unet.save_pretrained(tmp_path / "unet")
    loaded = load(replace(tiny_entry, unet=Weights(str(tmp_path), "unet"))).unet
    assert all(map(torch.equal, loaded.parameters(), unet.parameters()))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"lora": "nowhere.safetensors"}, "lacks a file: there is no nowhere.safetensors in"),
        ({"lora": "damaged.safetensors"}, "is damaged"),
        ({"lora": "pickle.bin"}, "is damaged"),
        ({"lora": "other.safetensors"}, "the UNet has no layer nowhere"),
        ({"unet": "nowhere"}, "lacks a file: there is no nowhere/config.json in"),
        ({"unet": "pickle"}, "safetensors"),
    ],
    ids=str,
)
def test_what_cannot_be_loaded_is_named(tiny_entry, tmp_path, weights, said):
    (tmp_path / "damaged.safetensors").write_bytes(b"x" * 64)
    torch.save({}, tmp_path / "pickle.bin")
    names = ("unet.nowhere.lora_A.weight", "unet.nowhere.lora_B.weight")
    save_file({name: torch.zeros(2, 2) for name in names}, tmp_path / "other.safetensors")
    make_pipeline().unet.save_pretrained(tmp_path / "pickle", safe_serialization=False)
    added = {field: Weights(str(tmp_path), path) for field, path in weights.items()}
    with pytest.raises(ExecutionFailed, match=said) as failure:
        load(replace(tiny_entry, **added))
    assert failure.value.code == "model_unavailable"
