"""How fast clips are made: diffusers' pipeline, ours technique by technique, and the service around it.

    python -m benchmarks.speed [--device cuda|cpu] [--checkpoint demo|reference|FOLDER]
                               [--shapes 16x256x256,24x320x576,64x256x256] [--json FILE] [--plot FILE]

One run on one device, the ways taking turns. ``reference`` is a checkpoint of the reference model's size with
random weights, made on the first use. The first shape is measured in all ways, further ones in three. Prints
as it goes, keeps to about ``--minutes``, and leaves out, and says so, what does not fit.
"""

import argparse
import asyncio
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import pipelines, queue_gap
from benchmarks.make_reference_checkpoint import save_checkpoint
from benchmarks.measuring import as_table, environment, say, write_json
from benchmarks.service_speed import measure_service
from benchmarks.speed_bench import Bench, make_params
from benchmarks.speed_plot import plot
from models.video import VideoParams
from services.catalogue import Catalogue
from services.execution.messages import GeneratorConfig
from services.generation.memory import choose_device

SHAPES = "16x256x256,24x320x576,64x256x256"


def reference_folder() -> Path:
    """The reference checkpoint with random weights, on this machine's own disk."""
    folder = Path(tempfile.gettempdir()) / "t2v-reference"
    if not (folder / "model_index.json").exists():
        say(f"making a checkpoint of the reference model's size in {folder}")
        save_checkpoint(folder)
    return folder


def parse_shapes(text: str) -> list[tuple[int, int, int]]:
    """``16x256x256,…``: frames, height, width. Raises ValueError."""
    shapes = [tuple(int(part) for part in shape.split("x")) for shape in text.split(",")]
    if any(len(shape) != 3 for shape in shapes):
        raise ValueError("a shape is FRAMESxHEIGHTxWIDTH")
    return shapes  # type: ignore[return-value]


def main(given: list[str] | None = None) -> None:
    arguments = _arguments(given)
    began = perf_counter()

    def left() -> float:
        return float(arguments.minutes * 60 - (perf_counter() - began))

    device = choose_device(arguments.device)
    model = str(reference_folder()) if arguments.checkpoint == "reference" else arguments.checkpoint
    entry = Catalogue.create(model).default_entry
    bench = Bench(entry, GeneratorConfig(device=str(device), dtype=arguments.dtype))
    defaults = entry.defaults
    own = f"{defaults.num_frames}x{defaults.height}x{defaults.width}"
    shapes = parse_shapes(arguments.shapes or (own if entry.name == "demo" else SHAPES))
    report: dict[str, Any] = {
        "environment": environment(device),
        "checkpoint": arguments.checkpoint,
        "dtype": str(bench.placement.dtype),
        "matmul_peak_tflops": bench.peak / 1e12,
        "shapes": {},
        "service": [],
    }
    say("\n".join(f"{name}: {value}" for name, value in report["environment"].items()))
    say(f"{bench.placement.dtype}, matrix products at {bench.peak / 1e12:.2f} TFLOP/s")

    with tempfile.TemporaryDirectory() as folder:
        workshop = pipelines.PatientWorkshop(Path(folder) / "compiled")
        for number, shape in enumerate(shapes):
            name = "x".join(map(str, shape))
            if number and left() < arguments.minutes * 6:
                say(f"{name}: left out, for lack of time")
                continue
            say(f"\n{entry.name}, {name}")
            params = make_params(entry, *shape, arguments.steps)
            share = 0.55 if number == 0 and not arguments.no_service else 0.8 / (len(shapes) - number)
            rows = bench.measure(
                params,
                workshop,
                arguments.backends if number == 0 else (),
                every=number == 0,
                rounds=arguments.rounds,
                limit_seconds=left() * share,
            )
            table = [bench.work(params).columns(row, rows[0]) for row in rows]
            say(as_table(table))
            report["shapes"][name] = {"rows": [asdict(row) for row in rows], "table": table}
            write_json(arguments.json, report)
            if number == 0 and not arguments.no_service:
                report["service"] = _service_rows(model, str(device), params, arguments)
                say(as_table(report["service"]))
                write_json(arguments.json, report)
    report["seconds"] = perf_counter() - began
    write_json(arguments.json, report)
    if arguments.plot is not None:
        plot(report, arguments.plot)


def _service_rows(
    model: str, device: str, params: VideoParams, arguments: argparse.Namespace
) -> list[dict[str, str]]:
    settings = {"T2V_DTYPE": arguments.dtype, "T2V_COMPILE": "auto" if arguments.backends else "off"}
    body = params.model_dump(include={"prompt", "width", "height", "num_frames", "num_inference_steps"})
    rows = measure_service(model, device, body, clips=arguments.rounds, settings=settings).as_rows()
    gaps = asyncio.run(
        queue_gap.measure(
            argparse.Namespace(
                model=model,
                device=device,
                clips=max(2, arguments.rounds),
                rounds=1,
                steps=arguments.steps,
                max_batch=1,
            )
        )
    )["ahead"]
    return [
        *rows,
        {
            "measure": "gap on the device between queued jobs",
            "reached": f"{1000 * statistics.median(gaps.gaps):.1f} ms",
        },
        {"measure": "progress and cancel cost", "reached": f"{100 * gaps.told / gaps.busy:.3f}%"},
    ]


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", help="cuda, cuda:N or cpu")
    parser.add_argument("--checkpoint", default="demo", help="demo, reference, another model, or a folder")
    parser.add_argument("--dtype", default="auto", help="as T2V_DTYPE")
    parser.add_argument("--shapes", help=f"{SHAPES}; the demo model's own")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's default without")
    parser.add_argument("--rounds", type=int, default=5, help="clips each way")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile with torch.compile, and on a CPU with OpenVINO; default: as the service does",
    )
    parser.add_argument("--no-service", action="store_true", help="the pipelines alone")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="PNG or SVG")
    arguments = parser.parse_args(given)
    arguments.backends = _backends(arguments.compile, choose_device(arguments.device).type)
    return arguments


def _backends(compile_: bool | None, device: str) -> tuple[str, ...]:
    if compile_ is None:
        return ("compiled",) if device == "cuda" else ("openvino",)
    return ("compiled", "openvino") if compile_ else ()


if __name__ == "__main__":
    main()
