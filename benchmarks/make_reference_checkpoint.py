"""Make a checkpoint of the reference model's exact size with random weights.

    python -m benchmarks.make_reference_checkpoint FOLDER

For measuring speed and memory where ``damo-vilab/text-to-video-ms-1.7b`` cannot be downloaded: the same
classes, shapes and files (half precision, variant ``fp16``, safetensors; 3.7 GB), and the same work for each
clip. The clips show noise. The tokenizer's vocabulary is made up, of the same size. Takes 8 GB of memory.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

UNET = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": (
        "CrossAttnDownBlock3D",
        "CrossAttnDownBlock3D",
        "CrossAttnDownBlock3D",
        "DownBlock3D",
    ),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "cross_attention_dim": 1024,
    "attention_head_dim": 64,
}
UNET_PARAMETERS = 1_411_233_860

VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "sample_size": 256,
    "scaling_factor": 0.18215,
}

VOCABULARY_SIZE = 49_408
TEXT_ENCODER = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "max_position_embeddings": 77,
    "vocab_size": VOCABULARY_SIZE,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}

SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}


def make_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-level CLIP vocabulary with made-up merges: pairs, triples, quadruples of letters in order.

    The layout is CLIP's: 256 bytes, the same ending a word, the merges, start and end of text.
    """
    letters = "abcdefghijklmnopqrstuvwxyz"
    symbols = list(_byte_symbols())
    symbols += [f"{symbol}</w>" for symbol in symbols]
    room = VOCABULARY_SIZE - len(symbols) - 2
    pairs = [first + second for first, second in product(letters, repeat=2)]
    candidates = [
        *(tuple(pair) for pair in pairs),
        *((first, f"{second}</w>") for first, second in product(letters, repeat=2)),
        *((pair, letter) for pair, letter in product(pairs, letters)),
        *((pair, f"{letter}</w>") for pair, letter in product(pairs, letters)),
        *((pair, other) for pair, other in product(pairs, pairs)),
    ]
    merges = [(left, right) for left, right in candidates[:room]]
    tokens = [*symbols, *(left + right for left, right in merges), "<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, merges


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes (Radford et al. 2019)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def save_tokenizer(folder: Path) -> None:
    """CLIPTokenizer with its files as on the hub, ``vocab.json`` and ``merges.txt`` included."""
    vocabulary, merges = make_vocabulary()
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_checkpoint(folder: Path) -> None:
    """Write the checkpoint part by part, so that one part at a time is in memory."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    # torch's default initialisation is small enough for half precision: the models normalise at every block.
    unet = UNet3DConditionModel(**UNET)
    if sum(parameter.numel() for parameter in unet.parameters()) != UNET_PARAMETERS:
        raise ValueError("the UNet is not of the reference model's size")
    unet.half().save_pretrained(folder / "unet", variant="fp16")
    del unet
    AutoencoderKL(**VAE).half().save_pretrained(folder / "vae", variant="fp16")
    encoder = CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER))
    encoder.half().save_pretrained(folder / "text_encoder", variant="fp16")
    del encoder
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    save_tokenizer(folder / "tokenizer")
    index = {
        "_class_name": TextToVideoSDPipeline.__name__,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet3DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a random checkpoint of the reference model's size.")
    parser.add_argument("folder", type=Path, help="where it goes, e.g. /tmp/reference")
    folder: Path = parser.parse_args().folder
    save_checkpoint(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 1e9:.2f} GB. Run the service with T2V_MODEL={folder}")


if __name__ == "__main__":
    main()
