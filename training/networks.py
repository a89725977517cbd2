"""The three networks of the demo checkpoint and its noise schedule, untrained, as diffusers' own classes."""

from dataclasses import dataclass

from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.tokenizer import MAX_LENGTH

NUM_FRAMES = 16
FPS = 8
DOWNSCALE = 8
"""Pixels along one side of a latent cell."""
LATENT_CHANNELS = 8
TEXT_WIDTH = 96


@dataclass(frozen=True)
class Widths:
    """Channels of the networks, by block; and whether the UNet reads the text in its last block, too."""

    vae: tuple[int, ...]
    unet: tuple[int, ...]
    text_at_last: bool = False


WIDTHS = {
    64: Widths(vae=(16, 32, 64, 96), unet=(64, 128), text_at_last=True),
    128: Widths(vae=(32, 64, 96, 96), unet=(64, 96, 128)),
}
"""By picture size: what two CPU cores train in hours, and what a GPU trains in minutes. Both fit in 24 MB."""


def build_vae(size: int) -> AutoencoderKL:
    """An untrained VAE: float[B, 3, size, size] in -1..1 to float[B, 8, size / 8, size / 8] and back.

    Its latents start with little noise: at the usual deviation of 1 no signal is heard for hundreds of steps.
    Few groups in its norms: with a group for each channel they take away the very colour of a plain picture.
    """
    blocks = len(WIDTHS[size].vae)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=WIDTHS[size].vae,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=size,
        scaling_factor=1.0,
    )
    nn.init.constant_(vae.quant_conv.bias[LATENT_CHANNELS:], -6.0)
    return vae


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder: token ids int64[B, 77] to float32[B, 77, TEXT_WIDTH]."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_unet(size: int) -> UNet3DConditionModel:
    """An untrained UNet: latents float32[B, 8, T, size / 8, size / 8] to a velocity of the same shape.

    It attends to the text on all grids but its finest, and there too at the end where the finest is of 8×8
    cells: on 4×4 alone two things are mixed up. Dropout is off, since no clip is seen often.
    """
    widths = WIDTHS[size].unet
    coarser = len(widths) - 1
    last = "CrossAttnUpBlock3D" if WIDTHS[size].text_at_last else "UpBlock3D"
    unet = UNet3DConditionModel(
        sample_size=size // DOWNSCALE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock3D", *("CrossAttnDownBlock3D",) * coarser),
        up_block_types=(*("CrossAttnUpBlock3D",) * coarser, last),
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    for module in unet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return unet


def is_over_time(name: str) -> bool:
    """Whether a weight of the UNet, by its name, looks along time: at one place in every frame."""
    return any(part in name for part in ("transformer_in.", "temp_convs.", "temp_attentions."))


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
