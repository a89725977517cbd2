"""The figures of a chaos run, for people."""

from collections import Counter
from collections.abc import Sequence

from tests.chaos.outage import Outage
from tests.chaos.rolling import Rolling
from tests.chaos.run import DEMO, Outcome

SHOWN_FINDINGS = 10


def print_outcome(outcome: Outcome) -> None:
    stage, audit = outcome.stage, outcome.audit
    made_by = "the demo checkpoint" if stage.generator == DEMO else "scripted workers"
    print(f"\n{stage.name} ({stage.server}, {stage.services} service(s), {made_by}), {outcome.seconds:.0f} s")
    lines = {
        "accepted": f"{outcome.accepted} ({outcome.tickets} requests, then retries); {audit.jobs} left",
        "ended as": listed(audit.outcomes),
        "killed": f"{outcome.kills.total()}: {listed(outcome.kills)}",
        "paused": f"{outcome.pauses} SIGSTOPs longer than the lease of {stage.lease_seconds:g} s",
        "points": listed(outcome.points) or "none",
        "unreached": listed(outcome.unreached) or "none",
        "answers": listed(outcome.answers),
        "webhooks": f"{outcome.repeated_webhooks} sent again under the same id",
        "settled": f"{outcome.settled_seconds:.1f} s after the last fault",
    }
    for name, value in lines.items():
        print(f"  {name:<10} {value}")
    for name, found in audit.findings.named():
        print(f"  {len(found):>6} {name}")
        for item in found[:SHOWN_FINDINGS]:
            print(f"           {item}")
    print(end="", flush=True)


def print_outage(outage: Outage) -> None:
    print(f"\nthe database away for {outage.seconds:g} s")
    lines = {
        "answers": listed(outage.answers),
        "slowest": ", ".join(f"{seconds:.2f} s {name}" for name, seconds in outage.slowest.items()),
        "ready": f"{outage.recovered_seconds:.1f} s after its return",
        "accepted": f"{outage.accepted}, lost {len(outage.lost)}",
        "job": f"the one that ran is {outage.running['status']} in attempt {outage.running['attempt']}",
    }
    for name, value in lines.items():
        print(f"  {name:<10} {value}")
    print(f"  {len(outage.wrong):>6} answers other than 503 with Retry-After, or untrue readiness")
    for item in outage.wrong[:SHOWN_FINDINGS]:
        print(f"           {item}")


def print_rolling(rolling: Rolling) -> None:
    print(f"\ntwo services restarted in turn, {rolling.restarts} restarts in {rolling.seconds:.0f} s")
    lines = {
        "requests": f"{rolling.requests}, {rolling.refused} connections refused and asked of the other",
        "accepted": f"{len(rolling.accepted)}, lost {len(rolling.lost)}",
        "attempts": ", ".join(f"{count} jobs took {number}" for number, count in rolling.attempts.items()),
    }
    for name, value in lines.items():
        print(f"  {name:<10} {value}")
    print(f"  {len(rolling.failed):>6} failed requests")
    for item in rolling.failed[:SHOWN_FINDINGS]:
        print(f"           {item}")


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
