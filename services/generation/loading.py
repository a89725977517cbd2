"""Checkpoints from a folder or the hub to a pipeline on its device."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import transformers
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed
from services.execution.messages import GeneratorConfig
from services.generation.conversion import pickled_parts
from services.generation.extra_weights import find_lora, load_unet
from services.generation.hub import NETWORK_ERRORS, fetch
from services.generation.lora import merge_lora
from services.generation.memory import GIB, Placement, free_bytes, is_out_of_memory
from services.generation.weights import weight_bytes

SUPPORTED_PIPELINES = ("TextToVideoSDPipeline",)
"""Classes whose parts the sampling loop knows how to use."""


def load_pipeline(entry: CatalogueEntry, placement: Placement, config: GeneratorConfig) -> Any:
    """Load a catalogue entry's pipeline, weights in ``placement.dtype`` on ``placement.device``.

    Safetensors alone are read: a pickle can hold code, and is refused.

    Raises:
        ExecutionFailed: ``model_unavailable``, with what to do about it; ``out_of_memory``.
    """
    if entry.pipeline_class not in SUPPORTED_PIPELINES:
        raise ExecutionFailed(
            "model_unavailable",
            f"model {entry.name!r} names the pipeline {entry.pipeline_class!r}; "
            f"supported: {', '.join(SUPPORTED_PIPELINES)}",
        )
    _silence_libraries()
    try:
        folder = find_checkpoint(entry, config)
        _require_safetensors(entry, folder)
        _require_memory(entry, placement, folder)
        replaced = {} if entry.unet is None else {"unet": load_unet(entry.unet, placement.dtype, config)}
        pipe = getattr(diffusers, entry.pipeline_class).from_pretrained(
            folder,
            variant=entry.variant,
            dtype=placement.dtype,
            use_safetensors=True,
            local_files_only=True,
            **replaced,
        )
        if entry.lora is not None:
            merge_lora(pipe.unet, find_lora(entry.lora, config), entry.lora.scale)
        _place(pipe, placement)
    except ExecutionFailed:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise ExecutionFailed("model_unavailable", _explain(entry, error)) from error
        pipe = None
    if pipe is None:
        # Not chained: the traceback would hold on to half a model.
        raise ExecutionFailed(
            "out_of_memory",
            f"{placement.device} has no room for model {entry.name!r} (about {entry.memory_gib:g} GiB in "
            "half precision); free memory there or set T2V_OFFLOAD=sequential",
        )
    longest = pipe.text_encoder.config.max_position_embeddings
    pipe.tokenizer.model_max_length = min(pipe.tokenizer.model_max_length, longest)
    return pipe


def find_checkpoint(entry: CatalogueEntry, config: GeneratorConfig) -> Path:
    """The checkpoint's folder; downloaded first where it is on the hub and not here yet."""
    folder = Path(entry.checkpoint).expanduser()
    if folder.is_absolute() or folder.is_dir():
        if (folder / "model_index.json").is_file():
            return folder
        raise ExecutionFailed(
            "model_unavailable",
            f"model {entry.name!r}: {folder.name} is not a checkpoint in diffusers layout "
            "(no model_index.json); restore the folder or choose another model",
        )
    return fetch(partial(_download, entry, config), local_files_only=config.local_files_only)


def _require_safetensors(entry: CatalogueEntry, folder: Path) -> None:
    if parts := pickled_parts(folder):
        raise ExecutionFailed(
            "model_unavailable",
            f"model {entry.name!r}: {', '.join(parts)} come as pickles, which can hold code, and safetensors "
            "alone are read; convert the folder once: python -m services.generation.conversion FOLDER",
        )


def _require_memory(entry: CatalogueEntry, placement: Placement, folder: Path) -> None:
    """Refuse weights that a CPU's memory cannot hold: the kernel would kill this process, or another."""
    if placement.device.type != "cpu":
        return
    needed, free = weight_bytes(folder, entry.variant, placement.dtype), free_bytes(placement.device)
    if needed > free:
        raise ExecutionFailed(
            "out_of_memory",
            f"the weights of model {entry.name!r} take {needed / GIB:.1f} GiB in {placement.dtype}, and "
            f"{free / GIB:.1f} GiB are free; free memory, set T2V_DTYPE=bfloat16, or choose a smaller model",
        )


def _download(entry: CatalogueEntry, config: GeneratorConfig, local_files_only: bool) -> Path:
    return Path(
        diffusers.DiffusionPipeline.download(
            entry.checkpoint,
            revision=entry.revision,
            variant=entry.variant,
            cache_dir=config.cache_dir,
            token=config.token,
            use_safetensors=True,
            local_files_only=local_files_only,
        )
    )


def _place(pipe: Any, placement: Placement) -> None:
    if placement.vae_slicing:
        pipe.vae.enable_slicing()
    if placement.offload == "model":
        pipe.enable_model_cpu_offload(device=placement.device)
    elif placement.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=placement.device)
    else:
        pipe.to(placement.device)


def _silence_libraries() -> None:
    """No progress bars, no notice of a deprecated class: the service writes its own log."""
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _explain(entry: CatalogueEntry, error: BaseException) -> str:
    """What went wrong, from the most telling error in the chain, and what to do."""
    where = (
        f"model {entry.name!r} ({entry.checkpoint_name}{f' at {entry.revision}' if entry.revision else ''})"
    )
    chain = list(_chain(error))

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if among(GatedRepoError):
        return (
            f"{where} is gated: accept its terms on huggingface.co and set HF_TOKEN to that account's token"
        )
    if among(RevisionNotFoundError):
        return f"{where}: the hub has no such revision"
    if among(RepositoryNotFoundError):
        return f"{where} is not on the hub, or private: check the name, or set HF_TOKEN"
    if among(*NETWORK_ERRORS):
        return f"{where} is not downloaded yet and the hub cannot be reached: connect, or use a local folder"
    if among(HfHubHTTPError):
        return f"{where} cannot be downloaded: {_first_line(error)}"
    if among(LocalEntryNotFoundError):
        return f"{where} is not downloaded yet and T2V_OFFLINE is set: unset it once, or use a local folder"
    if among(SafetensorError, EOFError, NotImplementedError):
        return f"{where} is damaged ({_first_line(error)}): delete it and download or restore it again"
    if among(EntryNotFoundError, FileNotFoundError):
        return f"{where} lacks a file: {_first_line(error)}"
    return f"{where} cannot be loaded: {type(error).__name__}: {_first_line(error)}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
