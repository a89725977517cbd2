"""What the demo checkpoint is made of: a text encoder, a UNet and a scheduler, saved in diffusers layout."""

from copy import deepcopy
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.tokenizer import MAX_LENGTH
from training.train_vae import LATENT_CHANNELS, LATENT_SIZE

TEXT_WIDTH = 64


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder: token ids int64[B, 77] to float32[B, 77, TEXT_WIDTH]."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_unet(block_out_channels: tuple[int, int] = (64, 96)) -> UNet3DConditionModel:
    """An untrained UNet: latents float32[B, 8, T, 8, 8] to a velocity of the same shape.

    It attends to the text where the grid is 4×4; dropout is off, since no clip is seen often.
    """
    unet = UNet3DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
        block_out_channels=block_out_channels,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    for module in unet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return unet


def build_scheduler() -> DDIMScheduler:
    """Noise from a clean clip to none of it left.

    Zero terminal SNR, v-prediction and trailing timesteps (Lin et al., 2024): without them the noisiest step
    still shows the mean colour, and plain backgrounds come out grey.
    """
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


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
    TextToVideoSDPipeline(
        vae=deepcopy(vae).half(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=deepcopy(unet).half(),
        scheduler=build_scheduler(),
    ).save_pretrained(path)
