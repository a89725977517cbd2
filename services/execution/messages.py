"""What crosses the boundary between the service and a worker: frozen, picklable values without torch."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from models.job import Timings
from models.video import VideoParams
from services.catalogue_entry import CatalogueEntry


@dataclass(frozen=True)
class GeneratorConfig:
    """How a worker loads models.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        offload: ``auto``, ``none``, ``model`` or ``sequential`` (accelerate's CPU offload).
        vae_slicing: ``auto``, ``on`` or ``off``.
        cache_dir: Where hub downloads are kept; None for the library's own folder.
        local_files_only: Never ask the hub.
        embed_metadata: Write prompt and parameters into the MP4.
        max_batch: The most clips that are made at once; None for what suits the device.
        compile: ``auto``, ``on`` or ``off``: see ``choose_techniques``.
        compile_dir: Where compiled code is kept; None to compile nothing.
        token: Hugging Face token, or None.
    """

    device: str = "auto"
    dtype: str = "auto"
    offload: str = "auto"
    vae_slicing: str = "auto"
    cache_dir: str | None = None
    local_files_only: bool = False
    embed_metadata: bool = True
    max_batch: int | None = None
    compile: str = "auto"
    compile_dir: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GenerationRequest:
    """One job, complete.

    Attributes:
        companions: So many requests of the same ``kind`` follow at once, to be made together with this one.
        alone: Nothing else may be under way with it: it may have lost its worker before, or may not lose
            another by the fault of others.
    """

    job_id: str
    model: CatalogueEntry
    params: VideoParams
    companions: int = 0
    alone: bool = False

    @property
    def kind(self) -> Hashable:
        """Equal for requests that can be made in one batch: all but what each clip has for itself."""
        guided = self.params.guidance_scale > 1
        shared = self.params.model_dump(
            exclude={"prompt", "negative_prompt", "seed", "guidance_scale", "fps"}
        )
        return (self.model.name, guided, *shared.items())


@dataclass(frozen=True)
class Started:
    """The worker has taken the job up; until then it waited behind others."""

    job_id: str


@dataclass(frozen=True)
class Progress:
    """``step`` of ``total`` denoising steps are done; step 0 is sent when sampling begins.

    ``preview`` is a small JPEG of what the clip looks like by then, where one was made.
    """

    job_id: str
    step: int
    total: int
    preview: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DeviceDone:
    """The device is free of the job; what is left is encoding, beside which the next one can run.

    ``fits``: so many of its kind can be made at once.
    """

    job_id: str
    fits: int = 1


@dataclass(frozen=True)
class Completed:
    """A finished clip: the MP4's and the thumbnail's (WebP) bytes, and what happened on the way."""

    job_id: str
    video: bytes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    timings: Timings
    prompt_truncated: bool = False
    dropped_text: str | None = None
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The job's own failure; the worker lives on. ``code`` is one of the job error codes."""

    job_id: str
    code: str
    message: str


@dataclass(frozen=True)
class Cancelled:
    job_id: str


@dataclass(frozen=True)
class Ready:
    """The worker has started; ``device`` is what it found, e.g. ``cuda:0 (NVIDIA H200)`` or ``cpu``."""

    device: str


@dataclass(frozen=True)
class ModelsChanged:
    """Names of the models that the worker holds now."""

    loaded: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """Load or UnloadIdle is carried out."""


@dataclass(frozen=True)
class Start:
    """The first thing a worker is told: which generator to build (``package.module:Class``), and how."""

    generator: str
    config: GeneratorConfig


@dataclass(frozen=True)
class Run:
    request: GenerationRequest


@dataclass(frozen=True)
class Load:
    """Load a model ahead of its first job. Answered by Done, or Failed with an empty ``job_id``."""

    model: CatalogueEntry


@dataclass(frozen=True)
class UnloadIdle:
    """Free every model that is loaded. Answered as Load is."""


@dataclass(frozen=True)
class Cancel:
    job_id: str


@dataclass(frozen=True)
class Shutdown:
    pass


Command = Start | Run | Load | UnloadIdle | Cancel | Shutdown
News = Started | Progress | DeviceDone
Answer = Completed | Failed | Cancelled | Done
Event = Ready | ModelsChanged | News | Answer
