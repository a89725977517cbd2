"""The generator of a worker process: owns the device, holds the models, makes clips."""

from collections.abc import Callable, Hashable, Sequence
from time import perf_counter

from models.job import Timings
from services.catalogue_entry import CatalogueEntry
from services.execution.executor import Clip, ExecutionFailed, GenerationCancelled
from services.execution.messages import Completed, GenerationRequest, GeneratorConfig, Progress
from services.generation.batch import Batch, Draft
from services.generation.batch_size import most_together
from services.generation.encodings import Encodings
from services.generation.loaded_models import LoadedModel, LoadedModels
from services.generation.lone_clip import LoneClip
from services.generation.memory import (
    choose_device,
    describe_device,
    is_out_of_memory,
    release_memory,
)
from services.generation.smaller_size import fits, smaller_sizes
from services.generation.threads import fit_threads

_MOST_ENCODED = 4


class Generator:
    """Makes clips, one batch after the other, on one thread: a pipeline is not thread-safe.

    Raises ValueError when the configured device is not there.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self._device = choose_device(config.device)
        if self._device.type == "cpu":
            fit_threads()
        self._models = LoadedModels(config, self._device)
        self._encodings = Encodings(
            max(_MOST_ENCODED, config.max_batch or 0), embed_metadata=config.embed_metadata
        )
        self._too_many: dict[Hashable, int] = {}

    @property
    def device(self) -> str:
        return describe_device(self._device)

    @property
    def loaded(self) -> tuple[str, ...]:
        return self._models.names

    def load(self, model: CatalogueEntry) -> None:
        """Bring a model into memory; others make room, the least recently used first."""
        self._models.load(model)

    def unload_all(self) -> None:
        self._models.unload_all()

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        """Make one clip and wait for it.

        Raises:
            ExecutionFailed: ``model_unavailable``, ``out_of_memory``, ``invalid_output`` or
                ``encoding_failed``.
            GenerationCancelled: ``is_cancelled`` answered True before a step or a chunk of frames.
        """
        clip = LoneClip(request, on_progress, is_cancelled)
        self.make([clip])
        return clip.result()

    def make(self, clips: Sequence[Clip]) -> None:
        """See ``services.execution.executor.Generator``.

        A batch that runs out of memory is parted until its clips are made one by one; only then one fails
        with ``out_of_memory``. Clips fail with the other errors of ``generate`` too, each by itself.
        """
        started = perf_counter()
        self._encodings.warm()
        model = self._models.load(clips[0].request.model)
        drafts = [Draft(clip, Timings(load=perf_counter() - started)) for clip in clips]
        batches = [drafts]
        while batches:
            batch = [draft for draft in batches.pop(0) if not draft.is_cancelled()]
            shortage = self._make_batch(model, batch) if batch else None
            if shortage is None:
                continue
            # Only here, past its handler, has the error's traceback let go of the tensors.
            model.accelerated.runner.clear()
            release_memory(self._device)
            left = [draft for draft in batch if not draft.has_left]
            if len(left) == 1:
                left[0].fail(self._out_of_memory(model, left[0], shortage))
            elif left:
                self._too_many[left[0].clip.request.kind] = len(left)
                half = len(left) // 2
                batches[:0] = [left[:half], left[half:]]

    def _make_batch(self, model: LoadedModel, drafts: Sequence[Draft]) -> str | None:
        """None, or in words why memory did not suffice: then some drafts have not left the device."""
        request = drafts[0].clip.request
        batch = Batch(
            drafts, model, self._encodings, device=self._device, fits=self._most_together(model, request)
        )
        try:
            batch.make()
        except Exception as error:
            if is_out_of_memory(error):
                return str(error).partition("\n")[0]
            for draft in drafts:
                if not draft.has_left:
                    draft.fail(error)
        finally:
            model.pipe.maybe_free_model_hooks()
        return None

    def _most_together(self, model: LoadedModel, request: GenerationRequest) -> int:
        most = most_together(request, model.placement, self._config.max_batch)
        too_many = self._too_many.get(request.kind)
        return most if too_many is None else max(1, min(most, too_many - 1))

    def _out_of_memory(
        self, model: LoadedModel, draft: Draft, reason: str
    ) -> ExecutionFailed | GenerationCancelled:
        params = draft.clip.request.params
        size = f"{params.width}×{params.height} with {params.num_frames} frames"
        message = f"{self._device} ran out of memory at {size}"
        for smaller in smaller_sizes(params, draft.clip.request.model.limits):
            if draft.clip.is_cancelled:
                return GenerationCancelled()
            if fits(model.pipe, smaller, model.placement):
                fitting = f"{smaller.width}×{smaller.height} with {smaller.num_frames} frames fits"
                return ExecutionFailed("out_of_memory", f"{message}; {fitting}")
        help_ = "free memory there or set T2V_OFFLOAD=sequential"
        return ExecutionFailed("out_of_memory", f"{message}; {help_} ({reason})")
