"""What the service costs on top of generation.

    python -m benchmarks.service_overhead [--clips 20]

Makes the same clips twice in one run: by the generator alone in this process, and one after another through
HTTP and a running service (``Prefer: wait``), in turn so that a drifting machine speed hits both; with the
demo model on the CPU, once it is compiled. Prints both totals and their ratio.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.running_service import DEMO_ON_CPU, make_ready, request, running_service
from benchmarks.speed_bench import PROMPT, make_params
from services.catalogue import Catalogue
from services.execution.messages import GenerationRequest, GeneratorConfig
from services.generation.generator import Generator

LOADING_CLIPS = 3
"""What is compiled comes into use beside the first."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20, help="how many clips each way")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_service(DEMO_ON_CPU, Path(folder)) as client:
        make_ready(client, {"prompt": PROMPT})
        alone = LoneGenerator(Path(folder) / "compiled")
        alone.make_ready()
        seconds: dict[str, list[float]] = {"generator alone": [], "through HTTP": []}
        for seed in range(1, arguments.clips + 1):
            # Whoever goes first would profit or suffer from the other's warm caches.
            for way in list(seconds)[:: 1 if seed % 2 else -1]:
                served = way == "through HTTP"
                seconds[way].append(
                    request(client, {"prompt": PROMPT}, seed)[0] if served else alone.make(seed)
                )

    for name, each in seconds.items():
        median = statistics.median(each)
        print(f"{arguments.clips} clips, {name:16} {sum(each):8.3f} s, median {median:.3f} s")
    ratio = sum(seconds["through HTTP"]) / sum(seconds["generator alone"])
    print(f"total through HTTP / alone: {ratio:.4f} ({(ratio - 1) * 100:+.1f}%)")


class LoneGenerator:
    """The generator in this process.

    Args:
        compiled: Where the service keeps what it has compiled.
    """

    def __init__(self, compiled: Path) -> None:
        self._generator = Generator(GeneratorConfig(device="cpu", compile_dir=str(compiled)))
        self._entry = Catalogue.create("demo").default_entry

    def make(self, seed: int) -> float:
        """Seconds for a clip, MP4 and thumbnail included."""
        size = self._entry.defaults
        params = make_params(self._entry, size.num_frames, size.height, size.width)
        params = params.model_copy(update={"seed": seed})
        began = time.perf_counter()
        self._generator.generate(
            GenerationRequest("benchmark", self._entry, params), lambda _: None, lambda: False
        )
        return time.perf_counter() - began

    def make_ready(self) -> None:
        for seed in range(LOADING_CLIPS):
            self.make(seed)


if __name__ == "__main__":
    main()
