"""What the VAE's training makes as small as it can: how far a picture is from what comes back of it."""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

KL_WEIGHT = 1e-5
EDGE_WEIGHT = 1.0
THING_WEIGHT = 10.0
SCENERY_WEIGHT = 3.0


def edges(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences between neighbouring columns and rows."""
    return pixels[..., :, 1:] - pixels[..., :, :-1], pixels[..., 1:, :] - pixels[..., :-1, :]


def weights(masks: torch.Tensor) -> torch.Tensor:
    """How much each pixel counts: float32[B, 1, H, W] for masks bool[B, H, W].

    A thing, under a tenth of the picture, weighs as much as its background: else its colour is learnt last.
    In a scenery, where every place is of interest, all count a little more than a plain background does.
    """
    things = F.max_pool2d(masks[:, None].float(), 3, stride=1, padding=1)
    has_things = things.amax(dim=(1, 2, 3), keepdim=True)
    return has_things * (1 + (THING_WEIGHT - 1) * things) + (1 - has_things) * SCENERY_WEIGHT


def picture_loss(decoded: torch.Tensor, pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """How far decoded pictures are from the pixels that they should be.

    L1 and squared error on pixels, and squared error on their differences (for sharp edges).
    """
    weight = weights(masks)
    l1 = (weight * (decoded - pixels).abs()).mean()
    squared = (weight * (decoded - pixels).square()).mean()
    edge = sum(F.mse_loss(ours, theirs) for ours, theirs in zip(edges(decoded), edges(pixels), strict=True))
    loss: torch.Tensor = l1 + squared + EDGE_WEIGHT * edge
    return loss


def vae_loss(vae: AutoencoderKL, pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The loss of pictures that go through the VAE.

    That of what comes back, and a KL term just strong enough to keep the latents smooth (Kingma and Welling,
    2014; Rombach et al., 2022).
    """
    posterior = vae.encode(pixels).latent_dist
    restored: torch.Tensor = vae.decode(posterior.sample()).sample
    unlike_noise: torch.Tensor = posterior.kl().mean()
    return picture_loss(restored, pixels, masks) + KL_WEIGHT * unlike_noise
