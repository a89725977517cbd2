"""One service, and schemathesis against it until there were enough cases."""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.api_keys import digest_of, new_configured_key
from tests.running_service import RunningService

MODES = ("without-keys", "with-keys")
ROUND_SECONDS = 300
"""One run of schemathesis; it repeats its random phases until then."""

# Each model has limits of its own, which the document cannot say: what it allows may still be refused.
EXCLUDED_CHECKS = "positive_data_acceptance"


@dataclass
class Fuzzed:
    """What came of a mode's cases.

    Attributes:
        failures: Failed checks and errors of schemathesis, and exceptions in the service's log.
        answered: How many cases were accepted, found nothing, met a conflict or were rejected.
    """

    mode: str
    seed: int
    cases: int = 0
    rounds: int = 0
    seconds: float = 0.0
    failures: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {name}" for name, count in self.answered.most_common())
        line = (
            f"{self.mode}, seed {self.seed}: {self.cases} cases in {self.rounds} rounds, "
            f"{self.seconds / 60:.1f} min ({answers}): {self.failures} failures"
        )
        return "\n".join([line, *self.said])


def fuzz(folder: Path, mode: str, *, cases: int, seed: int) -> Fuzzed:
    """At least so many cases in rounds; stops after one that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    key = new_configured_key()
    settings = {"T2V_API_KEYS": f"fuzzer:{digest_of(key)}"} if mode == "with-keys" else {}
    headers = ["--header", f"Authorization: Bearer {key}"] if mode == "with-keys" else []
    fuzzed, began = Fuzzed(mode, seed), time.monotonic()
    service = RunningService(folder / "data", module="tests.fuzz.entry", **settings)
    try:
        service.start()
        while fuzzed.cases < cases and not fuzzed.failures:
            run_round(fuzzed, folder, f"http://127.0.0.1:{service.port}", headers)
        if status := service.stop():
            fuzzed.failures += 1
            fuzzed.said.append(f"the service ended with {status}")
    finally:
        service.close()
    traces = [line for line in service.output.splitlines() if "Traceback" in line]
    fuzzed.failures += len(traces)
    fuzzed.said += [line[:2000] for line in traces[:5]]
    fuzzed.seconds = time.monotonic() - began
    return fuzzed


def run_round(fuzzed: Fuzzed, folder: Path, address: str, headers: list[str]) -> None:
    report = folder / f"round-{fuzzed.rounds}.json"
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/openapi.json"),
        *("--checks", "all", "--exclude-checks", EXCLUDED_CHECKS, "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(ROUND_SECONDS)),
        *("--seed", str(fuzzed.seed + fuzzed.rounds), "--max-examples", "10"),
        *("--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "60"),
        *("--report", "json", "--report-json-path", str(report), "--no-color"),
        *headers,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    fuzzed.rounds += 1
    if not report.exists():
        fuzzed.failures += 1
        fuzzed.said.append(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return
    told: dict[str, Any] = json.loads(report.read_text())
    fuzzed.cases += told["test_cases"]["generated"]
    found = len(told["failures"]) + len(told["errors"])
    fuzzed.failures += found
    for phases in told["valid_rates"].values():
        for counts in phases.values():
            fuzzed.answered.update(counts)
    if found or done.returncode:
        fuzzed.failures += not found
        fuzzed.said.append(done.stdout[-8000:])
