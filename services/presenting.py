"""Jobs as their owners see them: with position, estimate and where everything is."""

from collections.abc import Sequence

from models.job import Job
from models.responses import JobResponse
from services.estimates import Estimator
from services.job_store import utc_now

_SHOWN = JobResponse.model_fields.keys() & Job.model_fields.keys()


class Presenter:
    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    async def present(self, job: Job) -> JobResponse:
        return (await self.present_all([job]))[0]

    async def present_all(self, jobs: Sequence[Job]) -> list[JobResponse]:
        """In the given order."""
        positions = await self._estimator.queue_positions(jobs)
        remaining = await self._estimator.remaining_seconds(jobs, positions, utc_now())
        return [
            JobResponse(
                **{name: getattr(job, name) for name in _SHOWN},
                queue_position=positions.get(job.id),
                eta_seconds=remaining[job.id],
                urls=_urls(job),
            )
            for job in jobs
        ]


def _urls(job: Job) -> dict[str, str]:
    return {
        "job": f"/jobs/{job.id}",
        "events": f"/jobs/{job.id}/events",
        "deliveries": f"/jobs/{job.id}/deliveries",
        "video": f"/videos/{job.id}",
        "thumbnail": f"/videos/{job.id}/thumbnail",
        "spritesheet": f"/videos/{job.id}/spritesheet",
    }
