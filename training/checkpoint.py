"""Saves the networks as the folder that the pipeline loads."""

from copy import deepcopy
from pathlib import Path

from diffusers import AutoencoderKL, TextToVideoSDPipeline, UNet3DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from training.networks import build_scheduler


def save_checkpoint(
    path: Path,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    unet: UNet3DConditionModel,
) -> None:
    """Write a folder that TextToVideoSDPipeline.from_pretrained loads, weights in float16.

    The text encoder, which is tiny, stays float32: transformers would otherwise load it as float16 beside the
    float32 that diffusers gives the rest.
    """
    half_vae = deepcopy(vae).half()
    half_vae.register_to_config(_name_or_path="")  # The folder it was read from is no one's business.
    TextToVideoSDPipeline(
        vae=half_vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=deepcopy(unet).half(),
        scheduler=build_scheduler(),
    ).save_pretrained(path)
