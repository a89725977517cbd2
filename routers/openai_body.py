"""The body of ``POST /v1/videos``: a form as OpenAI's SDKs send it, or JSON."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from models.openai_video import OpenAIVideoCreate
from routers.dependencies import Owner
from routers.form_body import read_form, read_past
from services.errors import InvalidRequest, ServiceError

MAX_JSON_BYTES = 2**20
_IMAGES = frozenset({"input_reference"})
_TEXTS = frozenset({"prompt", "negative_prompt"})


class UnsupportedMediaType(ServiceError):
    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class JsonTooLarge(ServiceError):
    status, type, code = 413, "invalid_request_error", "body_too_large"


class InvalidJson(ServiceError):
    status, type, code = 400, "invalid_request_error", "invalid_json"


async def read_create(request: Request, _owner: Owner) -> OpenAIVideoCreate:
    """Raises ServiceError and RequestValidationError, as FastAPI does for bodies that it reads itself."""
    try:
        body = await _read_any(request)
    except ClientDisconnect:
        raise InvalidRequest("The body was cut off.", code="invalid_body") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_body")
    try:
        return OpenAIVideoCreate.model_validate(body)
    except ValidationError as error:
        problems = [
            problem | {"loc": ("body", *problem["loc"])} for problem in error.errors(include_url=False)
        ]
        raise RequestValidationError(problems) from None


async def _read_any(request: Request) -> Any:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        form = await read_form(request, files=_IMAGES)
        # An empty field is how the SDKs say null.
        return {name: value for name, value in form.items() if value != "" or name in _TEXTS}
    if content_type == "application/json" or content_type.endswith("+json"):
        return _parsed(await _read(request))
    raise UnsupportedMediaType(
        "The body must be a form or JSON, sent with Content-Type: multipart/form-data or application/json."
    )


async def _read(request: Request) -> bytes:
    body, stream = bytearray(), request.stream()
    async for chunk in stream:
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            await read_past(stream)
            raise JsonTooLarge("A body in JSON may have at most 1 MiB.")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        message = f"The body is not valid JSON: {error.msg} at character {error.pos}."
    except UnicodeDecodeError:
        message = "The body is not valid JSON: it is not in UTF-8."
    except RecursionError:
        message = "The body is not valid JSON: it is nested too deeply."
    raise InvalidJson(message)


def _documented() -> dict[str, Any]:
    schema = OpenAIVideoCreate.model_json_schema()
    fields = schema["properties"]
    form = schema | {
        "properties": fields | {"input_reference": fields["input_reference"] | {"type": "string"}}
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}},
        }
    }


CREATE_BODY = _documented()
"""What the OpenAPI document says of the body, which FastAPI does not read."""

CreateBody = Annotated[OpenAIVideoCreate, Depends(read_create)]
