"""Teaches the demo's text encoder what captions mean: python -m training.train_text_encoder

The reference model's text encoder knows language before the UNet meets it; so does this one. It learns to
name every attribute of the clip that a caption describes, from every position at and after the caption's end.
The UNet then finds what it needs in most of the tokens it attends to.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from training.devices import choose
from training.networks import TEXT_WIDTH, build_text_encoder
from training.tokenizer import build_tokenizer
from training.world.captions import describe, vocabulary
from training.world.clip import ATTRIBUTES, labels, random_clip


class Namer(nn.Module):
    """A text encoder with a linear head for each attribute; the heads are thrown away after training."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {name: nn.Linear(TEXT_WIDTH, len(values)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Token ids int64[B, 77] to logits float32[B, 77, values] for each attribute."""
        hidden = self.encoder(tokens).last_hidden_state
        return {name: head(hidden) for name, head in self.heads.items()}


def random_batch(
    tokenizer: CLIPTokenizer, batch_size: int, rng: np.random.Generator, held_out: bool = False
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Captions as token ids int64[B, 77], and the number of each attribute's value, int64[B]."""
    clips = [random_clip(rng, held_out=held_out) for _ in range(batch_size)]
    captions = [describe(clip, rng, held_out=held_out) for clip in clips]
    tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    named = [labels(clip) for clip in clips]
    targets = {
        name: torch.tensor([values.index(attributes[name]) for attributes in named])
        for name, values in ATTRIBUTES.items()
    }
    return tokens, targets


def train_text_encoder(
    steps: int, batch_size: int, learning_rate: float, seed: int, device: torch.device | None = None
) -> tuple[CLIPTextModel, dict[str, float]]:
    """Returns the encoder, and for each attribute the share of held-out captions that it reads right."""
    device = device or torch.device("cpu")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = build_tokenizer(vocabulary())
    namer = Namer(build_text_encoder(tokenizer)).to(device).train()
    optimizer = torch.optim.AdamW(namer.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    for _ in (progress := tqdm(range(steps), desc="text encoder")):
        tokens, targets = random_batch(tokenizer, batch_size, rng)
        logits = namer(tokens.to(device))
        rows, positions = torch.nonzero(tokens == tokenizer.eos_token_id, as_tuple=True)
        losses = [
            F.cross_entropy(logits[name][rows, positions], targets[name][rows].to(device))
            for name in ATTRIBUTES
        ]
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.4f}")
    accuracy = read_right(namer, tokenizer, seed, device)
    return namer.encoder.eval().cpu(), accuracy


@torch.no_grad()
def read_right(
    namer: Namer, tokenizer: CLIPTokenizer, seed: int, device: torch.device, count: int = 1000
) -> dict[str, float]:
    """The share of held-out captions whose last position names each attribute right, and all of them."""
    tokens, targets = random_batch(tokenizer, count, np.random.default_rng([seed, 1]), held_out=True)
    parts = [namer(part.to(device)) for part in torch.split(tokens, 100)]
    right = {
        name: torch.cat([part[name][:, -1].argmax(-1).cpu() for part in parts]) == targets[name]
        for name in ATTRIBUTES
    }
    shares = {name: hits.float().mean().item() for name, hits in right.items()}
    return shares | {"all": torch.stack(list(right.values())).all(0).float().mean().item()}


def main() -> None:
    """Train and save to runs/demo/text_encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    encoder, accuracy = train_text_encoder(
        args.steps, args.batch_size, args.learning_rate, args.seed, choose(args.device)
    )
    encoder.save_pretrained(args.run / "text_encoder")
    print("read right of 1,000 held-out captions:")
    for name, share in accuracy.items():
        print(f"  {name:12} {share:.1%}")


if __name__ == "__main__":
    main()
