"""Trains the demo checkpoint from nothing and measures it: python -m training

Everything goes to runs/demo; the finished folder is runs/demo/checkpoint. A run that was cut off goes on.
"""

import subprocess
import sys
from pathlib import Path

RUN = Path("runs/demo")


def main() -> None:
    """Train the VAE and the text encoder unless they are there, then the UNet, then print the table."""
    if not (RUN / "vae").exists():
        _run("training.train_vae")
    if not (RUN / "text_encoder").exists():
        _run("training.train_text_encoder")
    _run("training.train_unet")
    _run("training.evaluate", str(RUN / "checkpoint"))


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)  # noqa: S603 - our own modules


if __name__ == "__main__":
    main()
