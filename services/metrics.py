"""Prometheus metrics of one service."""

from collections.abc import Awaitable, Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from models.job import Job, JobStatus

_STAGE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800)
_HTTP_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 300)


class Metrics:
    """Counts what happens in this process. ``count_queued`` is asked at every scrape."""

    def __init__(self, count_queued: Callable[[], Awaitable[int]]) -> None:
        self._count_queued = count_queued
        self._registry = CollectorRegistry()
        self._jobs = Counter(
            "t2v_jobs", "Jobs that came to a status.", ["model", "status"], registry=self._registry
        )
        self._job_seconds = Histogram(
            "t2v_job_seconds",
            "Seconds from the start of a completed job's last attempt to its end.",
            ["model"],
            buckets=_STAGE_BUCKETS,
            registry=self._registry,
        )
        self._stage_seconds = Histogram(
            "t2v_job_stage_seconds",
            "Seconds a completed job spent in each stage.",
            ["model", "stage"],
            buckets=_STAGE_BUCKETS,
            registry=self._registry,
        )
        self._queued = Gauge("t2v_jobs_queued", "Jobs that wait.", registry=self._registry)
        self._webhooks = Counter(
            "t2v_webhook_attempts",
            "Attempts to deliver a webhook, by what came of them.",
            ["outcome"],
            registry=self._registry,
        )
        self._requests = Counter(
            "t2v_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "t2v_http_request_seconds",
            "Seconds until the answer was sent.",
            ["method", "route"],
            buckets=_HTTP_BUCKETS,
            registry=self._registry,
        )

    def observe_job(self, job: Job) -> None:
        """Count a job's new status, and the time a completed one took."""
        came_back = job.status is JobStatus.QUEUED and job.fence > 0
        self._jobs.labels(job.model, "requeued" if came_back else job.status.value).inc()
        if job.status is not JobStatus.COMPLETED:
            return
        if job.started_at is not None and job.completed_at is not None:
            seconds = (job.completed_at - job.started_at).total_seconds()
            self._job_seconds.labels(job.model).observe(seconds)
        for stage, seconds in job.timings.model_dump(exclude_none=True).items():
            self._stage_seconds.labels(job.model, stage).observe(seconds)

    def observe_webhook(self, outcome: str) -> None:
        """Count an attempt: ``delivered``, ``retried`` (failed, to be made again) or ``failed`` for good."""
        self._webhooks.labels(outcome).inc()

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by its route's template, so that ids do not become labels."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    async def render(self) -> tuple[bytes, str]:
        """The text format and its media type."""
        self._queued.set(await self._count_queued())
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
