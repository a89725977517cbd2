"""The generator of a worker process: owns the device, holds the models, makes clips."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from models.job import Timings
from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.execution.messages import Completed, GenerationRequest, GeneratorConfig, Progress
from services.generation.decoding import decode_frames, frames_per_chunk
from services.generation.denoiser import Denoiser
from services.generation.encoding import VideoEncoder
from services.generation.loading import load_pipeline
from services.generation.memory import (
    Placement,
    choose_device,
    choose_dtype,
    choose_placement,
    describe_device,
    free_bytes,
    is_out_of_memory,
    needed_bytes,
    release_memory,
)
from services.generation.preview import Previewer
from services.generation.prompts import PromptEmbeddings, encode_prompts, find_unknown_words
from services.generation.sampling import sample
from services.generation.smaller_size import fits, smaller_sizes
from services.generation.thumbnail import make_thumbnail


@dataclass(frozen=True)
class LoadedModel:
    entry: CatalogueEntry
    pipe: Any
    placement: Placement
    previewer: Previewer
    denoiser: Denoiser


class Generator:
    """Makes clips one after the other, on one thread: a pipeline is not thread-safe.

    Raises ValueError when the configured device is not there.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self._device = choose_device(config.device)
        self._models: dict[str, LoadedModel] = {}

    @property
    def device(self) -> str:
        return describe_device(self._device)

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._models)

    def load(self, model: CatalogueEntry) -> None:
        """Bring a model into memory; others make room, the least recently used first."""
        self._load(model)

    def unload_all(self) -> None:
        for name in self.loaded:
            self._unload(name)

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        """Make one clip.

        Raises:
            ExecutionFailed: ``model_unavailable``, ``out_of_memory``, ``invalid_output`` or
                ``encoding_failed``.
            GenerationCancelled: ``is_cancelled`` answered True before a step or a chunk of frames.
        """
        timings = Timings()
        with self._timed(timings, "load"):
            model = self._load(request.model)
        try:
            with torch.inference_mode():
                return self._make_clip(model, request, timings, on_progress, is_cancelled)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        finally:
            model.pipe.maybe_free_model_hooks()
        # Out of memory. Only here, past the handler, has the traceback let go of the tensors.
        release_memory(self._device)
        raise ExecutionFailed("out_of_memory", self._out_of_memory(model, request, reason, is_cancelled))

    def _make_clip(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        timings: Timings,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        params, pipe = request.params, model.pipe
        if is_cancelled():
            raise GenerationCancelled
        with self._timed(timings, "encode_prompt"):
            embeddings = self._encode_prompts(model, request)
        with self._timed(timings, "denoise"):
            model.previewer.begin()
            latents = sample(
                pipe,
                embeddings,
                params,
                device=self._device,
                on_step=lambda step: on_progress(
                    Progress(request.job_id, step, params.num_inference_steps, model.previewer.take())
                ),
                is_cancelled=is_cancelled,
                on_estimate=model.previewer.offer,
                denoiser=model.denoiser,
            )
        video, thumbnail = self._decode_and_encode(model, request, latents, timings, is_cancelled)
        return Completed(
            job_id=request.job_id,
            video=video,
            thumbnail=thumbnail,
            timings=timings,
            prompt_truncated=embeddings.dropped_text is not None,
            dropped_text=embeddings.dropped_text,
            unknown_words=find_unknown_words(pipe.tokenizer, params.prompt),
        )

    def _encode_prompts(self, model: LoadedModel, request: GenerationRequest) -> PromptEmbeddings:
        params = request.params
        return encode_prompts(
            model.pipe,
            params.prompt,
            params.negative_prompt,
            guidance=params.guidance_scale > 1,
            device=self._device,
        )

    def _decode_and_encode(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        latents: torch.Tensor,
        timings: Timings,
        is_cancelled: Callable[[], bool],
    ) -> tuple[bytes, bytes]:
        """ffmpeg works on one chunk of frames while the device decodes the next."""
        params = request.params
        metadata = (
            {"model": request.model.name, **params.model_dump()} if self._config.embed_metadata else None
        )
        chunk = frames_per_chunk(params.height, params.width, pixels=model.placement.decode_pixels)
        middle, seen = params.num_frames // 2, 0
        thumbnail = b""
        chunks = decode_frames(model.pipe, latents, chunk)
        scratch_dir = self._config.scratch_dir
        with VideoEncoder(
            params.width, params.height, params.fps, metadata, scratch_dir=scratch_dir
        ) as encoder:
            while True:
                if is_cancelled():
                    raise GenerationCancelled
                with self._timed(timings, "decode"):
                    frames = next(chunks, None)
                if frames is None:
                    break
                with self._timed(timings, "encode"):
                    if seen <= middle < seen + len(frames):
                        thumbnail = make_thumbnail(frames[middle - seen])
                    encoder.write(frames)
                seen += len(frames)
            with self._timed(timings, "encode"):
                video = encoder.finish()
        return video, thumbnail

    def _load(self, entry: CatalogueEntry) -> LoadedModel:
        model = self._models.pop(entry.name, None)
        if model is not None and model.entry == entry:
            self._models[entry.name] = model
            return model
        del model
        self._make_room(entry)
        placement = choose_placement(entry, self._config, self._device)
        try:
            pipe = load_pipeline(entry, placement, self._config)
        except ExecutionFailed:
            release_memory(self._device)
            raise
        previewer = Previewer(pipe, self._device, may_decode=placement.offload == "none")
        self._models[entry.name] = LoadedModel(entry, pipe, placement, previewer, Denoiser(pipe.unet))
        return self._models[entry.name]

    def _make_room(self, entry: CatalogueEntry) -> None:
        needed = needed_bytes(entry, choose_dtype(self._config.dtype, self._device, entry))
        while self._models and free_bytes(self._device) < needed:
            self._unload(next(iter(self._models)))
        release_memory(self._device)

    def _unload(self, name: str) -> None:
        model = self._models.pop(name)
        if model.placement.offload != "none":
            model.pipe.remove_all_hooks()
        del model
        release_memory(self._device)

    def _out_of_memory(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        reason: str,
        is_cancelled: Callable[[], bool],
    ) -> str:
        params = request.params
        size = f"{params.width}×{params.height} with {params.num_frames} frames"
        message = f"{self._device} ran out of memory at {size}"
        for smaller in smaller_sizes(params, request.model.limits):
            if is_cancelled():
                raise GenerationCancelled
            if fits(model.pipe, smaller, model.placement):
                return f"{message}; {smaller.width}×{smaller.height} with {smaller.num_frames} frames fits"
        return f"{message}; free memory there or set T2V_OFFLOAD=sequential ({reason})"

    @contextmanager
    def _timed(self, timings: Timings, stage: str) -> Iterator[None]:
        """Add the seconds of the block to a stage; the device has finished its work by then."""
        started = perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        setattr(timings, stage, (getattr(timings, stage) or 0.0) + perf_counter() - started)
