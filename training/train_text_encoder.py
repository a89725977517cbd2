"""Teaches the demo's text encoder what captions mean: python -m training.train_text_encoder

The reference model's text encoder knows language before the UNet meets it; so does this one. It learns to
name colour, shape, direction and background of the scene that a caption describes, from every position at and
after the caption's end. The UNet then finds what it needs in most of the tokens it attends to.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from training.captions import describe, vocabulary
from training.checkpoint import TEXT_WIDTH, build_text_encoder
from training.drawing import BACKGROUNDS, COLOURS, DIRECTIONS, SHAPES, Scene, random_scene
from training.tokenizer import build_tokenizer

ATTRIBUTES = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "direction": tuple(DIRECTIONS),
    "background": tuple(BACKGROUNDS),
}


def train_text_encoder(
    steps: int, batch_size: int, learning_rate: float, seed: int
) -> tuple[CLIPTextModel, float]:
    """Returns the encoder, and the share of new captions of which it names every attribute right."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = build_tokenizer(vocabulary())
    encoder = build_text_encoder(tokenizer).train()
    heads = nn.ModuleDict({name: nn.Linear(TEXT_WIDTH, len(values)) for name, values in ATTRIBUTES.items()})
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    for _ in (progress := tqdm(range(steps), desc="text encoder")):
        logits, targets, after_end = _classify(encoder, heads, tokenizer, batch_size, rng)
        losses = [F.cross_entropy(logits[name][after_end], targets[name][after_end]) for name in ATTRIBUTES]
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.4f}")
    with torch.no_grad():
        logits, targets, _ = _classify(encoder, heads, tokenizer, 1000, np.random.default_rng([seed, 1]))
        right = [(logits[name][:, -1].argmax(-1) == targets[name][:, -1]) for name in ATTRIBUTES]
    return encoder.eval(), torch.stack(right).all(0).float().mean().item()


def _classify(
    encoder: CLIPTextModel,
    heads: nn.ModuleDict,
    tokenizer: CLIPTokenizer,
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]:
    """Logits float32[B, 77, values], targets int64[B, 77]; and bool[B, 77], true from the end on."""
    scenes: list[Scene] = [random_scene(rng) for _ in range(batch_size)]
    captions = [describe(scene, rng) for scene in scenes]
    tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    hidden = encoder(tokens).last_hidden_state
    targets = {
        name: torch.tensor([values.index(getattr(scene, name)) for scene in scenes])[:, None].expand(
            tokens.shape
        )
        for name, values in ATTRIBUTES.items()
    }
    return {name: heads[name](hidden) for name in ATTRIBUTES}, targets, tokens == tokenizer.eos_token_id


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    encoder, accuracy = train_text_encoder(args.steps, args.batch_size, args.learning_rate, args.seed)
    encoder.save_pretrained(args.run / "text_encoder")
    print(f"all attributes named right: {accuracy:.1%} of 1,000 captions")


if __name__ == "__main__":
    main()
