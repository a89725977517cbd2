"""LoRAs as several programs write them, and what does not fit."""

import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from services.generation.lora import InvalidLora, merge_lora
from tests.tiny_checkpoint import make_pipeline

LINEAR = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.0.resnets.0.conv1"
CONV_3D = "down_blocks.0.temp_convs.0.conv1.2"
RANK = 4


@pytest.fixture(scope="module")
def weights():
    return make_pipeline().unet.state_dict()


@pytest.fixture
def unet(weights):
    unet = make_pipeline().unet
    unet.load_state_dict(weights)
    return unet


def halves(weight):
    """``[out, in, …]`` of a layer to the two factors of its change."""
    outputs, inputs, *kernel = weight.shape
    return torch.randn(RANK, inputs, *kernel), torch.randn(outputs, RANK, *[1] * len(kernel))


def change_of(unet, weights, layer):
    return unet.get_parameter(f"{layer}.weight").detach() - weights[f"{layer}.weight"]


@pytest.mark.parametrize("layer", [LINEAR, CONV, CONV_3D])
@pytest.mark.parametrize(
    "names",
    [
        "unet.{dots}.lora_A.weight unet.{dots}.lora_B.weight",
        "unet.{dots}.lora.down.weight unet.{dots}.lora.up.weight",
        "base_model.model.{dots}.lora_A.weight base_model.model.{dots}.lora_B.weight",
        "lora_unet_{underscores}.lora_down.weight lora_unet_{underscores}.lora_up.weight",
    ],
    ids=["peft", "diffusers", "peft model", "kohya"],
)
def test_the_product_is_added(unet, weights, tmp_path, layer, names):
    down, up = halves(weights[f"{layer}.weight"])
    first, second = names.format(dots=layer, underscores=layer.replace(".", "_")).split()
    save_file({first: down, second: up}, tmp_path / "lora.safetensors")
    merge_lora(unet, tmp_path / "lora.safetensors", scale=0.5)
    product = (up.flatten(1) @ down.flatten(1)).reshape(weights[f"{layer}.weight"].shape)
    torch.testing.assert_close(change_of(unet, weights, layer), 0.5 * product, atol=1e-5, rtol=1e-4)
    changed = [name for name, value in unet.state_dict().items() if not torch.equal(value, weights[name])]
    assert changed == [f"{layer}.weight"]


@pytest.mark.parametrize("said", ["tensor", "metadata"])
def test_alpha_weighs_the_change(unet, weights, tmp_path, said):
    down, up = halves(weights[f"{LINEAR}.weight"])
    tensors = {f"unet.{LINEAR}.lora_A.weight": down, f"unet.{LINEAR}.lora_B.weight": up}
    metadata = None
    if said == "tensor":
        tensors[f"unet.{LINEAR}.alpha"] = torch.tensor(1.0)
    else:
        metadata = {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": 1})}
    save_file(tensors, tmp_path / "lora.safetensors", metadata)
    merge_lora(unet, tmp_path / "lora.safetensors")
    torch.testing.assert_close(change_of(unet, weights, LINEAR), up @ down / RANK, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        (
            {"unet.nowhere.lora_A.weight": (4, 8), "unet.nowhere.lora_B.weight": (8, 4)},
            {},
            "no layer nowhere",
        ),
        ({f"unet.{LINEAR}.lora_A.weight": (4, 64)}, {}, "one half of a change alone"),
        (
            {f"unet.{LINEAR}.lora_A.weight": (4, 63), f"unet.{LINEAR}.lora_B.weight": (64, 4)},
            {},
            r"of shape \(64, 64\), and its change of \(64, 4\) · \(4, 63\)",
        ),
        ({"text_encoder.layer.lora_A.weight": (4, 8)}, {}, "text_encoder_layer has one half"),
        ({f"unet.{LINEAR}.weight": (64, 64)}, {}, "is no part of a LoRA"),
        ({}, {"unet.use_dora": True, "unet.r": 4}, "made with use_dora"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(unet, weights, tmp_path, tensors, metadata, said):
    good = halves(weights[f"{CONV}.weight"])
    held = dict(zip((f"unet.{CONV}.lora_A.weight", f"unet.{CONV}.lora_B.weight"), good, strict=True))
    held |= {name: torch.zeros(shape) for name, shape in tensors.items()}
    save_file(held, tmp_path / "lora.safetensors", {"lora_adapter_metadata": json.dumps(metadata)})
    with pytest.raises(InvalidLora, match=said):
        merge_lora(unet, tmp_path / "lora.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in unet.state_dict().items())


def test_a_pickle_is_refused(unet, tmp_path):
    torch.save({}, tmp_path / "lora.bin")
    with pytest.raises(SafetensorError):
        merge_lora(unet, tmp_path / "lora.bin")
