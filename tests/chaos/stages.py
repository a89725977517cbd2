"""How a long run is divided: most of it on two services that share a database, some on the checkpoint."""

from tests.chaos.monkey import EVERY_POINT
from tests.chaos.run import DEMO, SCRIPTED, Stage

DEMO_SHARE = 0.05
"""Of the jobs; the demo checkpoint makes them. The others are scripted in real worker processes."""

KILLS_IN_A_PART = 30

EMBEDDED_SHARE = 0.25
"""Of the jobs on nx-27017: one service with the database as its own child, as ``make run`` starts it."""


def plan(server: str, *, jobs: int, kills: int, pauses: int) -> list[Stage]:
    demo_jobs, demo_kills = round(jobs * DEMO_SHARE), round(kills * DEMO_SHARE)
    demo = "embedded" if server == "nx-27017" else server
    stages = [
        Stage("demo checkpoint", demo, DEMO, demo_jobs, demo_kills, 2, services=1, clients=4, pause_seconds=3)
    ]
    if server == "nx-27017":
        own_jobs, own_kills = round(jobs * EMBEDDED_SHARE), round(kills * EMBEDDED_SHARE)
        stages.append(
            Stage(
                "its own database",
                "embedded",
                SCRIPTED,
                own_jobs,
                own_kills,
                3,
                services=1,
                points=len(EVERY_POINT),
            )
        )
    stages += shared(
        server,
        jobs=jobs - sum(stage.jobs for stage in stages),
        kills=kills - sum(stage.kills for stage in stages),
        pauses=pauses - sum(stage.pauses for stage in stages),
    )
    return stages


def shared(server: str, *, jobs: int, kills: int, pauses: int) -> list[Stage]:
    """In parts, each on a site of its own: what a run has shown is not lost when it is broken off."""
    parts = max(1, round(kills / KILLS_IN_A_PART))
    return [
        Stage(
            f"one shared database, part {number + 1} of {parts}",
            server,
            SCRIPTED,
            jobs=share(jobs, parts, number),
            kills=share(kills, parts, number),
            pauses=share(pauses, parts, number),
            points=len(EVERY_POINT) if number < 2 else 0,
        )
        for number in range(parts)
    ]


def share(total: int, parts: int, number: int) -> int:
    """The part's share of a whole number; the shares add up to it."""
    return total * (number + 1) // parts - total * number // parts
