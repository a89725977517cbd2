"""Teaches the demo's text encoder what captions mean: python -m training.train_text_encoder

The reference model's text encoder knows language before the UNet meets it; so does this one. It learns to
name every attribute of the clip that a caption describes, from every position at and after the caption's end.
The UNet then finds what it needs in most of the tokens it attends to.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from training.devices import choose
from training.networks import TEXT_WIDTH, build_text_encoder
from training.teaching import teach
from training.tokenizer import build_tokenizer
from training.world.captions import describe, vocabulary
from training.world.clip import ATTRIBUTES, labels, random_clip

HELD_OUT = 1000
"""Captions that it never meets in training, to see what it reads right."""


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


class Reader:
    """A namer that learns to read: by AdamW, its learning rate up in a tenth of the steps and down again."""

    def __init__(
        self,
        steps: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.step, self.steps, self.batch_size, self.seed = 0, steps, batch_size, seed
        self.device = device or torch.device("cpu")
        self.tokenizer = build_tokenizer(vocabulary())
        self.namer = Namer(build_text_encoder(self.tokenizer)).to(self.device).train()
        self.optimizer = torch.optim.AdamW(self.namer.parameters(), lr=learning_rate)
        self.schedule = OneCycleLR(self.optimizer, learning_rate, total_steps=steps, pct_start=0.1)

    def train_step(self) -> float:
        """One step of the optimizer; returns the loss."""
        rng = np.random.default_rng([self.seed, self.step])
        tokens, targets = random_batch(self.tokenizer, self.batch_size, rng)
        logits = self.namer(tokens.to(self.device))
        rows, positions = torch.nonzero(tokens == self.tokenizer.eos_token_id, as_tuple=True)
        losses = [
            F.cross_entropy(logits[name][rows, positions], targets[name][rows].to(self.device))
            for name in ATTRIBUTES
        ]
        loss = torch.stack(losses).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item()

    @torch.no_grad()
    def read_right(self) -> dict[str, float]:
        """The share of held-out captions whose last position names each attribute right, and all of them."""
        rng = np.random.default_rng([self.seed, self.steps])
        tokens, targets = random_batch(self.tokenizer, HELD_OUT, rng, held_out=True)
        parts = [self.namer(part.to(self.device)) for part in torch.split(tokens, 100)]
        right = {
            name: torch.cat([part[name][:, -1].argmax(-1).cpu() for part in parts]) == targets[name]
            for name in ATTRIBUTES
        }
        shares = {name: hits.float().mean().item() for name, hits in right.items()}
        return shares | {"all": torch.stack(list(right.values())).all(0).float().mean().item()}

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""
        state = {"step": self.step, "namer": self.namer.state_dict()}
        return state | {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.step = state["step"]
        self.namer.load_state_dict(state["namer"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def show(self, run: Path, sample: Path) -> None:
        """Write what it reads right; and, after the last step, the text encoder."""
        shares = self.read_right()
        lines = [f"{name:12} {share:.1%}" for name, share in shares.items()]
        text = f"read right of {HELD_OUT:,} held-out captions:\n  " + "\n  ".join(lines)
        sample.with_suffix(".txt").write_text(text + "\n")
        if self.step == self.steps:
            self.namer.encoder.save_pretrained(run / "text_encoder")
            tqdm.write(text)


def main() -> None:
    """Train to runs/demo/text_encoder; a run that was cut off goes on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=60, help="seconds between two snapshots")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    reader = Reader(args.steps, args.batch_size, args.learning_rate, args.seed, choose(args.device))
    teach(reader, args.run, "text_encoder", args.save_every)


if __name__ == "__main__":
    main()
