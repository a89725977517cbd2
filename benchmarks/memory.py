"""How much memory a clip takes, with and without what saves it, and what ``auto`` would pick on small cards.

    python -m benchmarks.memory [--checkpoint reference] [--device cuda|cpu] [--shapes …] [--card-gib 8,12,24]

The model is loaded anew for each way. On CUDA the peak is that of torch's allocator, weights included; on a
CPU, which offloads nothing, the resident memory's growth since before loading.
"""

import argparse
import gc
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import as_table, environment, peak_memory, say, timed, write_json
from benchmarks.pipelines import ours
from benchmarks.speed import SHAPES, parse_shapes, reference_folder
from benchmarks.speed_bench import make_params
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.execution.messages import GeneratorConfig
from services.generation.acceleration.techniques import choose_techniques
from services.generation.loading import load_pipeline
from services.generation.memory import GIB, Placement, choose_device, choose_placement, is_out_of_memory


def measure(
    entry: CatalogueEntry, config: GeneratorConfig, shape: tuple[int, int, int], steps: int
) -> dict[str, str]:
    """One row. A way that does not fit says so."""
    device = choose_device(config.device)
    placement = choose_placement(entry, config, device)
    row = {
        "shape": "×".join(map(str, shape)),
        "offload": placement.offload,
        "slicing": "on" if placement.vae_slicing else "off",
    }
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with peak_memory(device) as most:
        try:
            seconds = f"{_make(entry, config, placement, shape, steps):.2f}"
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            seconds = "out of memory"
        peak = most()
    return row | {"peak GiB": f"{peak / GIB:.2f}", "s a clip": seconds}


def _make(
    entry: CatalogueEntry,
    config: GeneratorConfig,
    placement: Placement,
    shape: tuple[int, int, int],
    steps: int,
) -> float:
    pipe = load_pipeline(entry, placement, config)
    way = ours(
        pipe,
        make_params(entry, *shape, steps),
        placement,
        techniques=choose_techniques(pipe, placement, "off"),
    )

    def clip() -> None:
        way.decode(way.denoise())
        pipe.maybe_free_model_hooks()

    if placement.device.type == "cuda":
        clip()  # Graphs are recorded at the second.
    return timed(clip)


def picks(entry: CatalogueEntry, cards_gib: list[float]) -> list[dict[str, str]]:
    """What ``auto`` picks where so much is free, beside the reserve of a driver."""
    rows = []
    for gib in cards_gib:
        placement = choose_placement(entry, GeneratorConfig(), torch.device("cuda", 0), free=int(gib * GIB))
        rows.append(
            {
                "free GiB": f"{gib:g}",
                "offload": placement.offload,
                "slicing": "on" if placement.vae_slicing else "off",
            }
        )
    return rows


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="reference", help="reference, a model, or a folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="as T2V_DTYPE")
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--steps", type=int, default=2, help="denoising steps: the peak is that of each")
    parser.add_argument("--card-gib", default="4,6,8,12,24", help="free memory for which auto is asked")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(given)
    device = choose_device(arguments.device)
    model = str(reference_folder()) if arguments.checkpoint == "reference" else arguments.checkpoint
    entry = Catalogue.create(model).default_entry
    config = GeneratorConfig(device=str(device), dtype=arguments.dtype)
    on_cuda = device.type == "cuda"
    ways = [("none", "off"), ("none", "on")]
    if on_cuda:
        ways += [("model", "on"), ("sequential", "on")]
    report: dict[str, Any] = {"environment": environment(device), "rows": []}
    for shape, (offload, slicing) in product(parse_shapes(arguments.shapes), ways):
        row = measure(entry, replace(config, offload=offload, vae_slicing=slicing), shape, arguments.steps)
        say(", ".join(f"{name} {value}" for name, value in row.items()))
        report["rows"].append(row)
        write_json(arguments.json, report)
    say(as_table(report["rows"]))
    report["picks"] = picks(entry, [float(gib) for gib in arguments.card_gib.split(",")])
    say(as_table(report["picks"]))
    write_json(arguments.json, report)


if __name__ == "__main__":
    main()
