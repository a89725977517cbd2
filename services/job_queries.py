"""Which jobs, said in MongoDB's query language."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pymongo import IndexModel

from models.job import Job, JobStatus

# The embedded server compares times in whole seconds: ask for one more, then look at the records.
SECOND = timedelta(seconds=1)

# A copy of the id to sort and page by. The embedded server refuses compound indexes with _id and reads
# every document to compare it.
SORT_ID = "sort_id"

# Where a waiting job stands: see services.fair_queue.
PLACE = "place"

# The token of the insert. It never changes, so that an insert in doubt knows its own.
BORN_AS = "born_as"

INDEXES = [
    # Only jobs that wait have a seat.
    IndexModel(["seat"], unique=True, sparse=True),
    *(
        IndexModel(fields)
        for fields in (
            [SORT_ID],
            ["status"],
            ["status", SORT_ID],
            ["status", PLACE],
            ["owner", SORT_ID],
            ["owner", "status", SORT_ID],
            ["model", "status", SORT_ID],
            ["status", "file_expired", "expires_at"],
        )
    ),
]


@dataclass(frozen=True)
class JobQuery:
    """Which jobs, in which order, from where on.

    Attributes:
        q: Part of the prompt, in any case.
        created_after, created_before: Both exclusive.
        after: The id of the last job of the page before.
    """

    owner: str | None = None
    status: JobStatus | None = None
    model: str | None = None
    q: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"

    def to_filter(self) -> dict[str, Any]:
        """As MongoDB's query language says it; a second wider than asked: see ``spans``."""
        fields: dict[str, Any] = {}
        if self.owner is not None:
            fields["owner"] = self.owner
        if self.status is not None:
            fields["status"] = self.status.value
        if self.model is not None:
            fields["model"] = self.model
        if self.q is not None:
            # A regular expression may not hold a NUL itself.
            pattern = re.escape(self.q).replace("\0", r"\x00")
            fields["params.prompt"] = {"$regex": pattern, "$options": "i"}
        created = {}
        if self.created_after is not None:
            created["$gt"] = self.created_after - SECOND
        if self.created_before is not None:
            created["$lt"] = self.created_before + SECOND
        if created:
            fields["created_at"] = created
        if self.after is not None:
            fields[SORT_ID] = {"$gt" if self.order == "asc" else "$lt": self.after}
        return fields

    def spans(self, job: Job) -> bool:
        """Whether the job was created in the time asked for."""
        return (self.created_after is None or job.created_at > self.created_after) and (
            self.created_before is None or job.created_at < self.created_before
        )


@dataclass(frozen=True)
class JobPage:
    jobs: list[Job]
    has_more: bool
