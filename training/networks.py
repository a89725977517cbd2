"""The three networks of the demo checkpoint and its noise schedule, untrained, as diffusers' own classes."""

from dataclasses import dataclass

from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.tokenizer import MAX_LENGTH

NUM_FRAMES = 16
FPS = 8
SIZE = 128
"""Pixels along one side of the checkpoint's clips."""
SMALL = 64
"""Pixels along one side of the pictures that the VAE learns from first, and whose latents teach the UNet."""
GRID = 8
"""Latent cells along one side of a picture of either size."""
LATENT_CHANNELS = 8
TEXT_WIDTH = 96


@dataclass(frozen=True)
class Widths:
    """Channels of the networks, by block: of the VAE for small pictures, which has one more in front for
    large ones, and of the UNet.
    """

    vae: tuple[int, ...]
    unet: tuple[int, ...]


WIDTHS = Widths(vae=(16, 32, 64, 96), unet=(64, 128))

_FROM_FEATURES = ("mid_block", "conv_norm_out", "conv_out")
_TO_PICTURES = ("conv_in", *_FROM_FEATURES)


def build_vae(size: int) -> AutoencoderKL:
    """An untrained VAE: float[B, 3, size, size] in -1..1 to float[B, 8, GRID, GRID] and back.

    Its latents start with little noise: at the usual deviation of 1 no signal is heard for hundreds of steps.
    Few groups in its norms: with a group for each channel they take away the very colour of a plain picture.
    """
    channels = WIDTHS.vae if size == SMALL else (WIDTHS.vae[0], *WIDTHS.vae)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=size,
        scaling_factor=1.0,
    )
    nn.init.constant_(vae.quant_conv.bias[LATENT_CHANNELS:], -6.0)
    return vae


def grow(small: AutoencoderKL) -> AutoencoderKL:
    """A VAE for pictures of SIZE, made of one for SMALL ones by one more block at either end.

    As Karras et al. do it ("Progressive Growing of GANs", 2018): what was learnt stays, here the way from
    the latents to SMALL cells. Of the blocks at the ends the decoder's doubles the picture as it is; the
    encoder's has all to learn.
    """
    vae = build_vae(SIZE)
    pairs = [
        *zip(small.encoder.down_blocks, vae.encoder.down_blocks[1:], strict=True),
        *zip(small.decoder.up_blocks, vae.decoder.up_blocks[:-1], strict=True),
        *((getattr(small.encoder, name), getattr(vae.encoder, name)) for name in _FROM_FEATURES),
        *((getattr(small.decoder, name), getattr(vae.decoder, name)) for name in _TO_PICTURES),
        *((getattr(small, name), getattr(vae, name)) for name in ("quant_conv", "post_quant_conv")),
    ]
    for ours, theirs in pairs:
        theirs.load_state_dict(ours.state_dict(), strict=False)
    nn.init.dirac_(vae.decoder.up_blocks[-2].upsamplers[0].conv.weight)
    for resnet in vae.decoder.up_blocks[-1].resnets:
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
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


def build_unet() -> UNet3DConditionModel:
    """An untrained UNet: latents float32[B, 8, T, GRID, GRID] to a velocity of the same shape.

    It attends to the text on all grids but its finest, and there too at the end: on 4×4 cells alone two
    things are mixed up. Dropout is off, since no clip is seen often.
    """
    coarser = len(WIDTHS.unet) - 1
    unet = UNet3DConditionModel(
        sample_size=GRID,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock3D", *("CrossAttnDownBlock3D",) * coarser),
        up_block_types=("CrossAttnUpBlock3D",) * len(WIDTHS.unet),
        block_out_channels=WIDTHS.unet,
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
