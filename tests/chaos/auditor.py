"""Reads everything that a stage has left behind: records, files, logs and what clients were told."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import av

from models.job import Job, JobStatus
from services.file_store import FileStore
from services.janitor import Janitor, JanitorOptions
from services.job_store import JobStore
from services.mongo import Database
from tests.chaos.ledger import STABLE, Ledger
from tests.chaos.receiver import Receiver
from tests.chaos.site import Site

ERRORS = {"worker_lost", "timeout", "storage_full", "encoding_failed", "out_of_memory", "model_unavailable"}
BUDGET_BYTES = 10**10
AT_ONCE = JanitorOptions(leftover_seconds=-1)


@dataclass
class Findings:
    """What must not be: each list is empty after a run without fault."""

    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    cancelled_in_vain: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def named(self) -> list[tuple[str, list[str]]]:
        words = {
            "lost": "accepted jobs lost",
            "stuck": "jobs stuck",
            "twice": "completed twice",
            "refused": "visible MP4s that ffprobe refuses",
            "leftovers": "orphan, .part and temporary files after the sweep",
            "cancelled_in_vain": "acknowledged cancels that completed anyway",
            "contradictions": "answers that contradict the record",
            "unnamed": "ends without a named reason",
            "untold": "ends without a webhook",
            "exceptions": "unexpected exceptions in the logs",
        }
        return [(words[entry.name], getattr(self, entry.name)) for entry in fields(self)]

    @property
    def total(self) -> int:
        return sum(len(found) for _, found in self.named())


@dataclass
class Audit:
    findings: Findings
    jobs: int
    outcomes: Counter[str]


class Auditor:
    """Of a stage whose services have stopped and whose database answers."""

    def __init__(self, site: Site, database: Database, ledger: Ledger, receiver: Receiver) -> None:
        self._site = site
        self._database = database
        self._ledger = ledger
        self._receiver = receiver
        self._files = FileStore(site.data_dir / "videos", BUDGET_BYTES)
        self._found = Findings(contradictions=list(ledger.contradictions))

    async def audit(self) -> Audit:
        janitor = Janitor(JobStore(self._database), self._files, AT_ONCE)
        await janitor.sweep()
        swept = await janitor.audit()
        if swept.missing:
            self._found.contradictions.append(f"{swept.missing} completed records without a clip")
        documents = await self._database.collection("jobs").find({}).to_list(None)
        jobs = {document["_id"]: Job.model_validate(document) for document in documents}
        self._compare_with_ledger(jobs)
        self._look_at_ends(list(jobs.values()))
        self._look_at_files(jobs)
        self._look_at_webhooks([job for job in jobs.values() if job.status.is_final])
        self._look_at_logs()
        return Audit(self._found, len(jobs), Counter(outcome(job) for job in jobs.values()))

    def _compare_with_ledger(self, jobs: dict[str, Job]) -> None:
        ledger, found = self._ledger, self._found
        found.lost += sorted(ledger.accepted.keys() - jobs.keys() - ledger.perhaps_deleted)
        found.contradictions += [
            f"{job_id} was deleted and is there" for job_id in ledger.deleted & jobs.keys()
        ]
        for job_id, told in ledger.ends.items():
            if (job := jobs.get(job_id)) is not None and (now := shown(job)) != told:
                found.twice.append(f"{job_id} had ended as {told} and is {now}")
        tickets = Counter(job.metadata["ticket"] for job in jobs.values() if job.retry_of is None)
        found.contradictions += [f"ticket {name} has {n} jobs" for name, n in tickets.items() if n > 1]
        found.cancelled_in_vain += [
            job_id
            for job_id in sorted(ledger.cancelled & jobs.keys())
            if jobs[job_id].status is JobStatus.COMPLETED
        ]

    def _look_at_ends(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if not job.status.is_final:
                self._found.stuck.append(f"{job.id} is {job.status.value}, attempt {job.attempt}")
            elif job.status is JobStatus.FAILED and (job.error is None or job.error.code not in ERRORS):
                self._found.unnamed.append(f"{job.id}: {job.error}")
            elif job.completed_at is None or job.lease is not None:
                self._found.contradictions.append(f"{job.id} is {job.status.value} and not ended")

    def _look_at_webhooks(self, jobs: Sequence[Job]) -> None:
        """One event for each end; that it may come twice under its id is the promise of at least once."""
        for job in jobs:
            told = sorted(kind for _, kind in self._receiver.events.get(job.id, ()))
            if not told:
                self._found.untold.append(f"{job.id} is {job.status.value}")
            elif told != [f"video.{job.status.value}"]:
                self._found.twice.append(f"{job.id} is {job.status.value} and was told as {told}")

    def _look_at_files(self, jobs: dict[str, Job]) -> None:
        videos, found = self._site.data_dir / "videos", self._found
        kept = {(job.id, job.fence): job for job in jobs.values() if job.status is JobStatus.COMPLETED}
        for path in sorted(videos.glob("*.*")):
            job_id, fence, *_ = path.name.split(".")
            if path.suffix == ".part" or (job_id, int(fence)) not in kept:
                found.leftovers.append(path.name)
        found.leftovers += [str(path) for path in (self._site.folder / "tmp").glob("t2v-*")]
        found.leftovers += [str(path) for path in (self._site.data_dir / "holders").glob("*")]
        verdicts: dict[bytes, str] = {}
        for (job_id, fence), job in kept.items():
            path = self._files.video_path(job_id, fence)
            if not path.exists() or job.completed_at is None:
                found.contradictions.append(f"{job_id} is completed and has no clip")
                continue
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if written > job.completed_at:
                found.twice.append(f"{job_id} was written {written}, completed {job.completed_at}")
            content = path.read_bytes()
            if content not in verdicts:
                verdicts[content] = why_refused(path, content)
            if verdicts[content]:
                found.refused.append(f"{path.name}: {verdicts[content]}")

    def _look_at_logs(self) -> None:
        completed = re.compile(r"job (video_\w+) is completed")
        told = Counter(
            match[1]
            for line in self._site.logged(" is completed").elements()
            if (match := completed.search(line))
        )
        self._found.twice += [f"{job_id} was reported {n} times" for job_id, n in told.items() if n > 1]
        for line in self._site.logged("Traceback"):
            self._found.exceptions.append(said(line))


def shown(job: Job) -> dict[str, Any]:
    """The record's stable part, as answers show it."""
    return {name: value for name, value in job.model_dump(mode="json").items() if name in STABLE}


def outcome(job: Job) -> str:
    return job.status.value if job.error is None else job.error.code


def said(line: str) -> str:
    """A line of the log without what it repeats."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line[:300]
    trace = str(entry.get("exception", "")).strip().splitlines()
    return f"{entry.get('event')}: {trace[-1] if trace else ''}"[:300]


def why_refused(path: Path, content: bytes) -> str:
    """What a decoder, and ffprobe where there is one, have against the clip; empty for nothing."""
    try:
        with av.open(BytesIO(content)) as container:
            if not sum(1 for _ in container.decode(video=0)):
                return "no frames"
    except av.FFmpegError as error:
        return str(error)
    if (ffprobe := shutil.which("ffprobe")) is None:
        return ""
    done = subprocess.run([ffprobe, "-v", "error", str(path)], capture_output=True, text=True)
    return done.stderr.strip() or ("" if done.returncode == 0 else f"exit status {done.returncode}")
