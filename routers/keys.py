"""API keys in the database: made, listed and revoked by whoever has the scope ``admin``."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.api_key import ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyList, ApiKeyResponse
from routers.dependencies import Admin, Answers, ApiKeysOf, errors

router = APIRouter(prefix="/keys", tags=["keys"], responses=errors(401, 403, 409, 422, 429, 503))

KeyId = Annotated[str, StringConstraints(pattern=r"^key_[0-9A-Za-z]{26}$")]
_SHOWN = tuple(ApiKeyResponse.model_fields.keys() & ApiKey.model_fields.keys())
_DELETE_ANSWER: Answers = {204: {"description": "The next request with this key is refused."}}


class KeysQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Entries on a page.")
    after: KeyId | None = Field(None, description="The last id of the page before.")


@router.post("", status_code=201, summary="Make a key", responses=errors(400, 413, 415))
async def create_key(
    payload: ApiKeyCreate, response: Response, admin: Admin, keys: ApiKeysOf
) -> ApiKeyCreated:
    """The key is in this answer and nowhere else: the service keeps its hash."""
    record, key = await keys.create(payload, admin.owner)
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyCreated(**_fields(record), key=key)


@router.get("", summary="List keys")
async def list_keys(_admin: Admin, keys: ApiKeysOf, query: Annotated[KeysQuery, Query()]) -> ApiKeyList:
    """All owners' keys, newest first, revoked and expired ones too; not those of `T2V_API_KEYS`."""
    records, has_more = await keys.page(limit=query.limit, after=query.after)
    return ApiKeyList(
        data=[ApiKeyResponse(**_fields(record)) for record in records],
        first_id=records[0].id if records else None,
        last_id=records[-1].id if records else None,
        has_more=has_more,
    )


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Revoke a key",
    responses=_DELETE_ANSWER | errors(404),
)
async def revoke_key(id: str, admin: Admin, keys: ApiKeysOf) -> None:
    """It stays in the list. Revoking it again changes nothing; an answer under way is finished."""
    await keys.revoke(id, admin.owner)


def _fields(record: ApiKey) -> dict[str, object]:
    return {name: getattr(record, name) for name in _SHOWN}
