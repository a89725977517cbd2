"""Trains the demo checkpoint from nothing and measures it: python -m training

Everything goes to runs/demo; the finished folder is runs/demo/checkpoint. A run that was cut off goes on.
Each network has a command of its own with more options: training.train_vae, training.train_text_encoder
and training.train_unet.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from training.team import best_size
from training.train_unet import BATCH_SIZE


def main() -> None:
    """Train the VAE and the text encoder unless they are there, then the UNet, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    parser.add_argument(
        "--processes",
        type=int,
        default=best_size(BATCH_SIZE),
        help="that teach the UNet together (here %(default)s)",
    )
    args = parser.parse_args()
    where = ["--run", str(args.run)]
    if not (args.run / "vae").exists():
        _run("training.train_vae", *where)
    if not (args.run / "text_encoder").exists():
        _run("training.train_text_encoder", *where)
    _run("torch.distributed.run", *in_processes(args.processes, "training.train_unet", *where))
    _run("training.evaluate", str(args.run / "checkpoint"))


def in_processes(count: int, module: str, *arguments: str) -> list[str]:
    """What torch's launcher wants, to run a module in so many processes.

    After ``--`` it takes no argument for a short form of one of its own, as it would ``--run``.
    """
    return ["--standalone", "--nproc-per-node", str(count), "-m", "--", module, *arguments]


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)  # noqa: S603 - our own modules


if __name__ == "__main__":
    main()
