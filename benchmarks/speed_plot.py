"""The picture of a run of ``benchmarks.speed``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Seconds of a clip for each shape and way, denoising and decoding; its name's end says the format."""
    shapes = report["shapes"]
    figure, axes = plt.subplots(
        len(shapes), 1, figsize=(9, 1.2 + 0.38 * sum(len(each["rows"]) + 2 for each in shapes.values()))
    )
    for axis, (shape, found) in zip(axes if len(shapes) > 1 else [axes], shapes.items(), strict=True):
        table = found["table"][::-1]
        names = [row["way"] for row in table]
        decode = [float(row["decode s"]) for row in table]
        total = [float(row["s a clip"]) for row in table]
        denoise = [whole - part for whole, part in zip(total, decode, strict=True)]
        axis.barh(names, denoise, color="#3b6ea5", label="denoise")
        axis.barh(names, decode, left=denoise, color="#e0a458", label="decode")
        for place, (seconds, row) in enumerate(zip(total, table, strict=True)):
            axis.text(seconds, place, f" {row['speed-up']}×", va="center")
        axis.set_title(f"{report['checkpoint']}, {shape}, {report['environment']['device']}")
        axis.set_xlabel("seconds a clip")
        axis.set_xlim(0, 1.15 * max(total))
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
