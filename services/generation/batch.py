"""Clips of one kind on their way through the device: prompts, denoising, pixels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch

from models.job import Timings
from services.execution.executor import Clip, ExecutionFailed, GenerationCancelled
from services.execution.messages import Completed
from services.generation.decoding import decode_frames, frames_per_chunk
from services.generation.encodings import Discarded, Encoding, Encodings
from services.generation.loaded_models import LoadedModel
from services.generation.prompts import PromptEmbeddings, encode_prompts, find_unknown_words
from services.generation.sampling import Watch, sample_together
from services.tiers import EXACT


@dataclass(eq=False)
class Draft:
    """One clip of a batch, until it has left the device."""

    clip: Clip
    timings: Timings = field(default_factory=Timings)
    has_left: bool = False

    def fail(self, error: BaseException) -> None:
        self.has_left = True
        self.clip.fail(error)

    def is_cancelled(self) -> bool:
        """Whether it is; it has ended then."""
        if not self.has_left and self.clip.is_cancelled:
            self.fail(GenerationCancelled())
        return self.has_left


class Batch:
    """Makes the frames of some clips and hands them over to be encoded.

    Args:
        fits: What the clips tell when they leave the device; see ``Clip.leave_device``.
    """

    def __init__(
        self,
        drafts: Sequence[Draft],
        model: LoadedModel,
        encodings: Encodings,
        *,
        device: torch.device,
        fits: int,
    ) -> None:
        self._drafts = drafts
        self._model = model
        self._encodings = encodings
        self._device = device
        self._fits = fits

    def make(self) -> None:
        """Each draft has left the device afterwards, or an error is raised: out of memory, or unexpected."""
        with torch.inference_mode():
            self._make()

    def _make(self) -> None:
        drafts = [draft for draft in self._drafts if not draft.is_cancelled()]
        with self._timed(drafts, "encode_prompt"):
            embeddings = {draft: self._encode_prompts(draft) for draft in drafts}
        # Only texts of as many windows go through the UNet together.
        lengths = dict.fromkeys(embeddings[draft].prompt.shape[1] for draft in drafts)
        for length in lengths:
            alike = [draft for draft in drafts if embeddings[draft].prompt.shape[1] == length]
            self._sample_and_decode(alike, [embeddings[draft] for draft in alike])

    def _encode_prompts(self, draft: Draft) -> PromptEmbeddings:
        params = draft.clip.request.params
        return encode_prompts(
            self._model.pipe,
            params.prompt,
            params.negative_prompt,
            guidance=params.guidance_scale > 1,
            device=self._device,
            negatives=self._model.accelerated.negatives,
        )

    def _sample_and_decode(self, drafts: Sequence[Draft], embeddings: Sequence[PromptEmbeddings]) -> None:
        # A model may have lost a tier since the job was queued: then the clip is better than was asked for.
        tier = self._model.entry.tier(drafts[0].clip.request.params.quality) or EXACT
        with self._timed(drafts, "denoise"):
            results = sample_together(
                self._model.pipe,
                embeddings,
                [draft.clip.request.params for draft in drafts],
                [self._watch(draft, len(drafts)) for draft in drafts],
                device=self._device,
                denoiser=self._model.denoisers.of(tier),
                tier=tier,
            )
        for draft, embedded, sampled in zip(drafts, embeddings, results, strict=True):
            if isinstance(sampled, torch.Tensor):
                self._decode(draft, embedded, sampled)
            else:
                draft.fail(sampled)

    def _watch(self, draft: Draft, clips: int) -> Watch:
        previewer = self._model.previewer.for_one_of(clips)
        return Watch(
            on_step=lambda step: draft.clip.progress(step, previewer.take()),
            is_cancelled=draft.is_cancelled,
            on_estimate=previewer.offer,
        )

    def _decode(self, draft: Draft, embeddings: PromptEmbeddings, latents: torch.Tensor) -> None:
        """Each part of the frames is encoded while the device decodes the next."""
        if draft.is_cancelled():
            return
        params = draft.clip.request.params
        unfinished = Completed(
            job_id=draft.clip.request.job_id,
            video=b"",
            thumbnail=b"",
            timings=draft.timings,
            prompt_truncated=embeddings.dropped_text is not None,
            dropped_text=embeddings.dropped_text,
            unknown_words=find_unknown_words(self._model.pipe.tokenizer, params.prompt),
        )
        try:
            encoding = self._encodings.begin(draft.clip, unfinished)
        except (ExecutionFailed, GenerationCancelled) as error:
            draft.fail(error)
            return
        try:
            self._decode_into(encoding, draft, latents)
        except ExecutionFailed as error:
            draft.has_left = True
            encoding.abort(error)
        except Exception:
            encoding.abort(Discarded())
            raise

    def _decode_into(self, encoding: Encoding, draft: Draft, latents: torch.Tensor) -> None:
        params = draft.clip.request.params
        pixels = self._model.placement.decode_pixels
        chunk = frames_per_chunk(params.height, params.width, pixels=pixels)
        chunks = decode_frames(self._model.pipe, latents, chunk, self._model.accelerated.decoder)
        while not encoding.has_ended:
            if draft.clip.is_cancelled:
                break
            with self._timed(
                [draft], "decode", settled=False
            ):  # the frames are waited for as they are needed
                frames = next(chunks, None)
            if frames is None:
                break
            encoding.write(frames)
        draft.has_left = True
        draft.clip.leave_device(self._fits)
        encoding.close()

    @contextmanager
    def _timed(self, drafts: Sequence[Draft], stage: str, *, settled: bool = True) -> Iterator[None]:
        """Add the seconds of the block to a stage; if ``settled``, the device has done its work then."""
        started = perf_counter()
        yield
        if settled and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = perf_counter() - started
        for draft in drafts:
            setattr(draft.timings, stage, (getattr(draft.timings, stage) or 0.0) + seconds)
