"""What endpoints ask before they take work on: how often, how much at once, how urgent."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Request

from authentication import Principal
from models.api_key import Scope
from models.video import MIN_PRIORITY
from routers.dependencies import Owner
from services.errors import PermissionDenied, TooManyRequests
from services.open_answers import OpenAnswers
from services.rate_limits import RateLimits


async def admit(request: Request, owner: Owner) -> None:
    """Count a request for a clip. Raises TooManyRequests past the owner's rate."""
    limits = cast(RateLimits, request.state.rate_limits)
    if (allowance := await limits.hit(owner)) is not None:
        request.state.answer_headers = allowance.headers
        allowance.require()


async def hold_stream(request: Request, owner: Owner) -> AsyncIterator[None]:
    """Count an event stream until it ends. Raises TooManyRequests when the owner has too many open."""
    answers = get_open_answers(request)
    with answers.hold(owner) as held:
        if not held:
            raise TooManyRequests(
                f"{answers.per_owner} of your event streams and held answers are open, which is the limit.",
                code="too_many_streams",
                headers={"Retry-After": "5"},
            )
        yield


def get_open_answers(request: Request) -> OpenAnswers:
    return cast(OpenAnswers, request.state.open_answers)


def require_priority(principal: Principal, priority: int) -> None:
    """Whoever puts a job before everyone's needs the scope ``admin``. Raises PermissionDenied."""
    if priority > 0 and Scope.ADMIN not in principal.scopes:
        raise PermissionDenied(
            f"priority: above 0 needs a key with the scope 'admin'; accepted without: {MIN_PRIORITY} to 0.",
            code="missing_scope",
            param="priority",
        )


HeldAnswers = Annotated[OpenAnswers, Depends(get_open_answers)]
ADMITTED = Depends(admit)
HOLDING_A_STREAM = Depends(hold_stream)
