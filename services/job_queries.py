"""Which jobs, said in MongoDB's query language."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pymongo import IndexModel

from models.job import Job, JobStatus
from services.ids import ulid_of

# The embedded server compares times in whole seconds: ask for one more, then look at the records.
SECOND = timedelta(seconds=1)

# Ids tell the time too. They may be older than the record, which was made for an Idempotency-Key reserved
# before, or younger, where a clock was set back.
ID_DRIFT = timedelta(days=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

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
    # Only jobs that have ended, and whose webhooks nobody has taken up.
    IndexModel(["webhooks_due"], sparse=True),
    *(
        IndexModel(fields)
        for fields in (
            [SORT_ID],
            # Unless it has an index of its own, the embedded server takes a field for a list that may hold
            # the value, and uses no index at all.
            ["owner"],
            ["status"],
            ["model"],
            ["status", SORT_ID],
            ["status", PLACE],
            ["owner", SORT_ID],
            ["owner", "status", SORT_ID],
            ["model", "status", SORT_ID],
            ["status", "file_expired", "expires_at"],
        )
    ),
]


def equal(**fields: str | None) -> dict[str, Any]:
    """The filter for these values; what is None is not asked for."""
    return {name: value for name, value in fields.items() if value is not None}


def _id_of(at: datetime) -> str:
    return f"video_{ulid_of(max(at, EPOCH))}"


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
        fields = equal(
            owner=self.owner, status=None if self.status is None else self.status.value, model=self.model
        )
        if self.q is not None:
            # A regular expression may not hold a NUL itself.
            pattern = re.escape(self.q).replace("\0", r"\x00")
            # With $options the embedded server reads the whole collection.
            fields["params.prompt"] = {"$regex": f"(?i){pattern}"}
        created, ids = {}, {}
        if self.created_after is not None:
            created["$gt"] = self.created_after - SECOND
            ids["$gt"] = _id_of(self.created_after - ID_DRIFT)
        if self.created_before is not None:
            created["$lt"] = self.created_before + SECOND
            ids["$lt"] = _id_of(self.created_before + ID_DRIFT)
        if self.after is not None and self.order == "asc":
            ids["$gt"] = max(self.after, ids.get("$gt", ""))
        elif self.after is not None:
            ids["$lt"] = min(self.after, ids.get("$lt", self.after))
        if created:
            fields["created_at"] = created
        if ids:
            fields[SORT_ID] = ids
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
