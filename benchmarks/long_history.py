"""A year of ended jobs, put into a database past the store."""

import random
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pymongo
from tqdm import tqdm

from models.job import Job, JobProgress, JobStatus
from models.video import VideoParams
from services.ids import ulid_of
from services.job_queries import SORT_ID
from services.job_store import new_job_id, utc_now
from services.mongo import Database

OWNERS = 10
BATCH = 200
YEAR = timedelta(days=365)
BATCH_SECONDS = 120.0
"""Seconds for a batch; the service's own limit holds for what is measured, not for what prepares it."""
COLOURS = ("red", "green", "blue", "yellow", "white", "black")
SHAPES = ("circle", "square", "star", "triangle", "ring")
ENDS = (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True)
class History:
    """Ended jobs, evenly over a year; job n is of owner n % OWNERS."""

    jobs: int
    began: datetime

    def time_of(self, number: int) -> datetime:
        return self.began + YEAR * number / self.jobs

    def id_of(self, number: int) -> str:
        return f"video_{ulid_of(self.time_of(number))[:-8]}{number:08}"


def new_job(owner: str, **fields: Any) -> Job:
    params = VideoParams(
        prompt=f"a {random.choice(COLOURS)} {random.choice(SHAPES)} moving left",
        negative_prompt="",
        width=64,
        height=64,
        num_frames=8,
        fps=8,
        num_inference_steps=20,
        guidance_scale=4.0,
        scheduler="dpm++",
        seed=1,
    )
    values: dict[str, Any] = {
        "id": new_job_id(),
        "owner": owner,
        "model": "demo",
        "params": params,
        "progress": JobProgress(total=20),
        "created_at": utc_now(),
    }
    return Job(**(values | fields))


async def fill(database: Database, history: History, load_seconds: float) -> int:
    """Insert the ended jobs of a year in batches, past the store: filling is not what is measured.

    Returns:
        How many: fewer than the history has if the time was over first.
    """
    deadline, jobs = time.monotonic() + load_seconds, history.jobs
    with tqdm(total=jobs, unit=" jobs", mininterval=10) as progress:
        for start in range(0, jobs, BATCH):
            batch = []
            for number in range(start, min(start + BATCH, jobs)):
                at = history.time_of(number)
                job = new_job(
                    f"owner-{number % OWNERS}",
                    id=history.id_of(number),
                    status=random.choice(ENDS),
                    created_at=at,
                    started_at=at,
                    completed_at=at + timedelta(seconds=1),
                )
                token = f"w_{secrets.token_hex(12)}"
                batch.append(job.to_document() | {"write_token": token, SORT_ID: job.id})
            with pymongo.timeout(BATCH_SECONDS):
                await database.collection("jobs").insert_many(batch)
            progress.update(len(batch))
            if time.monotonic() > deadline:
                return start + len(batch)
    return jobs
