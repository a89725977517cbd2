"""The header that makes it safe to send a request again."""

from typing import Annotated

from fastapi import Header

REPLAYED = "Idempotency-Replayed"
"""Says that the answer is of a job which the same request had made before."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Sent again with the same request, it gives the same job.",
    ),
]
