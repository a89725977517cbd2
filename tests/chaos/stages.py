"""How a long run is divided: most of it on two services that share a database, some on the checkpoint."""

from tests.chaos.monkey import EVERY_POINT
from tests.chaos.run import DEMO, SCRIPTED, Stage

DEMO_SHARE = 0.05
"""Of the jobs; the demo checkpoint makes them. The others are scripted in real worker processes."""

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
    rest_jobs = jobs - sum(stage.jobs for stage in stages)
    rest_kills = kills - sum(stage.kills for stage in stages)
    rest_pauses = pauses - sum(stage.pauses for stage in stages)
    return [
        *stages,
        Stage(
            "one shared database",
            server,
            SCRIPTED,
            rest_jobs,
            rest_kills,
            rest_pauses,
            points=2 * len(EVERY_POINT),
        ),
    ]
