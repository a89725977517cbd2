"""The models' names where OpenAI's SDKs look for them. What may be asked of each, ``GET /models`` says."""

from fastapi import APIRouter

from models.openai_model import OpenAIModel, OpenAIModelList
from routers.dependencies import Models, Owner, errors
from services.catalogue_entry import CatalogueEntry
from services.errors import NotFound

router = APIRouter(prefix="/v1/models", tags=["openai"], responses=errors(401, 403, 429, 503))


@router.get("", summary="List models")
async def list_openai_models(_owner: Owner, catalogue: Models) -> OpenAIModelList:
    """`client.models.list`: names for the parameter `model`."""
    return OpenAIModelList(data=[_answer(entry) for entry in catalogue])


@router.get("/{name}", summary="Get a model", responses=errors(404))
async def retrieve_openai_model(name: str, _owner: Owner, catalogue: Models) -> OpenAIModel:
    """`client.models.retrieve`."""
    entry = catalogue.get(name)
    if entry is None:
        raise NotFound(
            f"There is no model {name[:100]!r}; available: {', '.join(catalogue.names)}.",
            code="model_not_found",
            param="model",
        )
    return _answer(entry)


def _answer(entry: CatalogueEntry) -> OpenAIModel:
    owner, slash, _ = entry.checkpoint_name.partition("/")
    return OpenAIModel(id=entry.name, created=0, owned_by=owner if slash else "local")
