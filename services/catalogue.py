"""The models this service can run. Pure data: adding a sibling is one entry."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from services.catalogue_entry import REPOSITORY_ROOT, CatalogueEntry, Defaults, Limits, Range
from services.local_checkpoint import entry_of

_REFERENCE_LIMITS = Limits(
    width=Range(128, 1024, 64),
    height=Range(128, 1024, 64),
    num_frames=Range(1, 128),
    max_pixels=64 * 576 * 320,
)

_SCENES = (
    "a sailing boat on a calm sea at sunset",
    "a fox running through fresh snow",
    "rain on a window, city lights behind it",
    "a steam train crossing a stone bridge",
)

_ENTRIES = (
    CatalogueEntry(
        name="text-to-video-ms-1.7b",
        description="ModelScope text-to-video, 1.7 billion parameters, 256×256.",
        checkpoint="damo-vilab/text-to-video-ms-1.7b",
        revision="8227dddca75a8561bf858d604cc5dae52b954d01",
        variant="fp16",
        pipeline_class="TextToVideoSDPipeline",
        limits=_REFERENCE_LIMITS,
        defaults=Defaults(
            width=256,
            height=256,
            num_frames=16,
            fps=8,
            num_inference_steps=25,
            guidance_scale=9.0,
            scheduler="dpm++",
        ),
        memory_gib=6.0,
        licence="CC-BY-NC-4.0",
        commercial_use=False,
        example_prompts=_SCENES,
    ),
    CatalogueEntry(
        name="zeroscope_v2_576w",
        description="Zeroscope v2, a watermark-free sibling of ModelScope text-to-video, 576×320.",
        checkpoint="cerspense/zeroscope_v2_576w",
        # The hub's own conversion to safetensors; the main branch has pickles alone.
        revision="1f35e3dc3350d649f342bb7618fe34ac8fae5c9e",
        variant=None,
        pipeline_class="TextToVideoSDPipeline",
        limits=_REFERENCE_LIMITS,
        defaults=Defaults(
            width=576,
            height=320,
            num_frames=24,
            fps=8,
            num_inference_steps=40,
            guidance_scale=9.0,
            scheduler="dpm++",
        ),
        memory_gib=8.0,
        licence="CC-BY-NC-4.0",
        commercial_use=False,
        example_prompts=_SCENES,
    ),
    CatalogueEntry(
        name="demo",
        description=(
            "A small model for machines without a GPU. It knows a coloured shape that moves in front of a "
            "simple background (two of them it mixes up in one clip of four), and ten scenes: sunset, "
            "city, coral reef, dancing shapes, rain, snow, fireworks, bouncing ball, clock, waves. A job "
            "names the words that it does not know."
        ),
        checkpoint=str(REPOSITORY_ROOT / "checkpoints" / "demo"),
        revision=None,
        variant=None,
        pipeline_class="TextToVideoSDPipeline",
        limits=Limits(
            width=Range(128, 128),
            height=Range(128, 128),
            num_frames=Range(16, 16),
            max_pixels=16 * 128 * 128,
            num_inference_steps=Range(1, 100),
        ),
        defaults=Defaults(
            width=128,
            height=128,
            num_frames=16,
            fps=8,
            num_inference_steps=20,
            guidance_scale=2.5,
            scheduler="ddim",
        ),
        memory_gib=0.5,
        licence="MIT",
        commercial_use=True,
        example_prompts=(
            "a red circle moving left",
            "a peaceful sunset over mountain ranges",
            "waves rolling over the sea",
            "a yellow star bouncing on grass",
        ),
    ),
)


class Catalogue:
    """The models by name, and which of them answers a request that names none."""

    def __init__(
        self,
        entries: Mapping[str, CatalogueEntry],
        default: str,
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if default not in entries:
            raise ValueError(f"model {default!r} is not in the catalogue: {', '.join(entries)}, or a folder")
        self._entries = dict(entries)
        self._aliases = dict(aliases)
        self.default = default

    @classmethod
    def create(cls, model: str) -> "Catalogue":
        """The built-in models, with ``model`` as default.

        ``model`` is a name from the catalogue, or a folder in diffusers layout, which joins under its own
        name. Raises ValueError for anything else.
        """
        entries = {entry.name: entry for entry in _ENTRIES}
        if model in entries:
            return cls(entries, model)
        folder = Path(model).expanduser()
        if not (folder / "model_index.json").is_file():
            raise ValueError(
                f"model {model!r} is neither in the catalogue ({', '.join(entries)}) "
                "nor a folder with a model_index.json"
            )
        local = entry_of(folder.resolve(), _ENTRIES[0])
        return cls(entries | {local.name: local}, local.name)

    def __iter__(self) -> Iterator[CatalogueEntry]:
        return iter(self._entries.values())

    def get(self, name: str) -> CatalogueEntry | None:
        return self._entries.get(self._aliases.get(name, name))

    def with_aliases(self, aliases: Mapping[str, str]) -> "Catalogue":
        """The same models, each also under the names that stand for it.

        Raises ValueError for an alias of no model, and for one that is a model's own name.
        """
        for alias, name in aliases.items():
            if name not in self._entries:
                raise ValueError(f"{alias} stands for {name!r}; the models are {', '.join(self._entries)}")
            if alias in self._entries:
                raise ValueError(f"{alias} is a model of its own")
        return Catalogue(self._entries, self.default, aliases)

    @property
    def default_entry(self) -> CatalogueEntry:
        return self._entries[self.default]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)
