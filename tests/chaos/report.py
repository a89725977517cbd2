"""The figures of a chaos run, for people."""

from collections import Counter
from collections.abc import Sequence

from tests.chaos.run import DEMO, Outcome

SHOWN_FINDINGS = 10


def print_outcome(outcome: Outcome) -> None:
    stage, audit = outcome.stage, outcome.audit
    made_by = "the demo checkpoint" if stage.generator == DEMO else "scripted workers"
    print(f"\n{stage.name} ({stage.server}, {stage.services} service(s), {made_by}), {outcome.seconds:.0f} s")
    lines = {
        "accepted": f"{outcome.accepted} of {outcome.tickets} asked for; {audit.jobs} records",
        "ended as": listed(audit.outcomes),
        "killed": f"{outcome.kills.total()}: {listed(outcome.kills)}",
        "paused": f"{outcome.pauses} SIGSTOPs longer than the lease of {stage.lease_seconds:g} s",
        "points": listed(outcome.points) or "none",
        "unreached": listed(outcome.unreached) or "none",
        "answers": listed(outcome.answers),
        "settled": f"{outcome.settled_seconds:.1f} s after the last fault",
    }
    for name, value in lines.items():
        print(f"  {name:<10} {value}")
    for name, found in audit.findings.named():
        print(f"  {len(found):>6} {name}")
        for item in found[:SHOWN_FINDINGS]:
            print(f"           {item}")
    print(end="", flush=True)


def print_sum(server: str, seed: str, outcomes: Sequence[Outcome]) -> None:
    jobs = sum(outcome.accepted for outcome in outcomes)
    kills = sum(outcome.kills.total() for outcome in outcomes)
    pauses = sum(outcome.pauses for outcome in outcomes)
    demo = sum(outcome.accepted for outcome in outcomes if outcome.stage.generator == DEMO)
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    faults = sum(outcome.audit.findings.total for outcome in outcomes)
    print(
        f"\n{server}, seed {seed}: {jobs} jobs ({demo} by the demo checkpoint), {kills} kills, "
        f"{pauses} pauses longer than the lease, {minutes:.1f} min: {faults} faults found"
    )


def listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
