"""What a caller asks for, and what a finished clip is."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.webhook import WebhookUrl

MAX_PROMPT_CHARS = 4_000
MAX_SEED = 2**32 - 1
MIN_PRIORITY, MAX_PRIORITY = -2, 2
MAX_METADATA_ENTRIES = 16

Quality = Literal["fast", "balanced", "exact"]
"""How far a clip may differ from what the model itself would make of the request, to be made sooner."""

# NUL ends strings in the MP4's metadata and in MongoDB's field names.
_VISIBLE = r"^[^\x00]*[^\x00\s][^\x00]*$"
_NO_NUL = r"^[^\x00]*$"

Prompt = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARS, pattern=_VISIBLE),
]
NegativePrompt = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_PROMPT_CHARS, pattern=_NO_NUL)
]
# MongoDB reads a leading $ as an operator and a dot as a path.
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^$.\x00][^.\x00]*$")]
MetadataValue = Annotated[str, StringConstraints(max_length=512, pattern=_NO_NUL)]


class VideoCreate(BaseModel):
    """A request for one clip. What is left out takes the model's default; the seed is drawn at random."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"prompt": "a red circle moving left"},
                {"prompt": "a blue star moving up on a white background", "seed": 7, "fps": 12},
            ]
        },
    )

    prompt: Prompt = Field(description="What the clip shows.")
    negative_prompt: NegativePrompt | None = Field(None, description="What the clip should not show.")
    model: str | None = Field(None, max_length=200, description="A name from GET /models.")
    width: int | None = Field(None, ge=1, description="Pixels.")
    height: int | None = Field(None, ge=1, description="Pixels.")
    num_frames: int | None = Field(None, ge=1, description="Frames in the clip.")
    fps: int | None = Field(None, ge=1, description="Frames a second at which the clip plays.")
    num_inference_steps: int | None = Field(None, ge=1, description="Denoising steps.")
    guidance_scale: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Classifier-free guidance; 1 or less switches it off."
    )
    scheduler: str | None = Field(None, max_length=64, description="A sampler's name from GET /models.")
    quality: Quality | None = Field(
        None,
        description=(
            "`exact`, the default: as the model makes it. `balanced` and `fast` take less time, "
            "for a clip that differs; GET /models says how."
        ),
    )
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Equal seeds give equal clips.")
    priority: int = Field(
        0,
        ge=MIN_PRIORITY,
        le=MAX_PRIORITY,
        description="Higher goes first. Below 0 gives way to all others; above 0 needs the scope `admin`.",
    )
    webhook_url: WebhookUrl | None = Field(
        None,
        description=(
            "A public http or https address that is told of the job's end by a signed POST. Refused where "
            "the service sends no webhooks."
        ),
    )
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default_factory=dict,
        max_length=MAX_METADATA_ENTRIES,
        description="The caller's own pairs, kept with the job.",
    )


class VideoParams(BaseModel):
    """Every parameter of a generation, complete: running it again gives the same clip."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    negative_prompt: str
    width: int
    height: int
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    quality: Quality = "exact"
    seed: int


class Video(BaseModel):
    """Facts of a finished MP4, as probed from the file itself."""

    model_config = ConfigDict(frozen=True)

    size_bytes: int
    sha256: str
    width: int
    height: int
    fps: float
    num_frames: int
    duration_seconds: float
    codec: str
