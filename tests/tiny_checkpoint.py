"""A checkpoint of the reference model's classes at toy size, with random weights, in diffusers layout."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WORDS = (
    "a", "red", "green", "blue", "circle", "square", "star", "moving", "left", "right", "up", "down", "on",
    "white", "black", "background",
)  # fmt: skip
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-"


def make_tokenizer() -> CLIPTokenizer:
    """Knows every word of WORDS as one token and spells all others letter by letter."""
    tokens = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            # Joined from the end, so that a word's beginning is never a token of its own.
            merge = (pieces[-2], pieces[-1])
            if merge not in merges:
                merges.append(merge)
                tokens.append("".join(merge))
            pieces[-2:] = ["".join(merge)]
    vocabulary = {token: index for index, token in enumerate([*tokens, *_SPECIAL])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def make_pipeline() -> TextToVideoSDPipeline:
    """About 1 M parameters, float32; 64×64 pixels are 8×8 latents."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=2,
            num_attention_heads=4,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet3DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=32,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = TextToVideoSDPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler
    )
    for module in (vae, text_encoder, unet):
        module.eval()
    return pipeline


def save_tiny_checkpoint(folder: Path, *, variant: str | None = None) -> Path:
    """Write the checkpoint to ``folder``, in half precision for the variant ``fp16``. Returns ``folder``."""
    pipeline = make_pipeline()
    if variant == "fp16":
        pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, variant=variant)
    return folder
