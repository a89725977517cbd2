"""``python -m tests.chaos``: the long run. Prints its seed and figures; ends with 1 when anything is wrong.

``--seed`` draws the same faults and requests again; where they meet is up to the machine.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.chaos.outage import meet_outage
from tests.chaos.report import print_outage, print_outcome, print_rolling, print_sum
from tests.chaos.rolling import restart_in_turn
from tests.chaos.run import run_stage
from tests.chaos.stages import plan


async def run(arguments: argparse.Namespace) -> int:
    outcomes = []
    print(f"seed {arguments.seed}", flush=True)
    stages = plan(arguments.server, jobs=arguments.jobs, kills=arguments.kills, pauses=arguments.pauses)
    for number in arguments.parts or range(1, len(stages) + 1):
        stage = replace(stages[number - 1], lease_seconds=arguments.lease_seconds)
        folder = arguments.folder / stage.name.replace(",", "").replace(" ", "-")
        outcome = await run_stage(stage, arguments.seed, folder)
        print_outcome(outcome)
        outcomes.append(outcome)
    if arguments.parts:
        print_sum(arguments.server, arguments.seed, outcomes)
        return 1 if any(outcome.audit.findings.total for outcome in outcomes) else 0
    outage = await meet_outage(arguments.folder / "outage", arguments.server, arguments.outage_seconds)
    print_outage(outage)
    rolling = await restart_in_turn(arguments.folder / "rolling", arguments.server, rounds=3)
    print_rolling(rolling)
    print_sum(arguments.server, arguments.seed, outcomes)
    found = sum(outcome.audit.findings.total for outcome in outcomes)
    return 1 if found + len(outage.wrong + outage.lost + rolling.failed + rolling.lost) else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--server", choices=["nx-27017", "secantus"], default="nx-27017")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--pauses", type=int, default=30, help="SIGSTOPs longer than the lease")
    parser.add_argument(
        "--parts", type=int, nargs="+", help="1 is the demo checkpoint's; without them all, and what follows"
    )
    parser.add_argument("--lease-seconds", type=float, default=2.0, help="longer on a machine under load")
    parser.add_argument("--outage-seconds", type=float, default=30.0)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--folder", type=Path, help="keep records, clips and logs here")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True)
        return asyncio.run(run(arguments))
    with tempfile.TemporaryDirectory(prefix="t2v-chaos-") as folder:
        arguments.folder = Path(folder)
        return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
