"""Models as OpenAI's API says them."""

from typing import Literal

from pydantic import BaseModel, Field


class OpenAIModel(BaseModel):
    object: Literal["model"] = "model"
    id: str
    created: int = Field(description="Always 0: when a checkpoint was made is not known.")
    owned_by: str = Field(description="Whose checkpoint it is: its owner on the hub, or `local`.")


class OpenAIModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[OpenAIModel]
