"""The models that a worker holds in memory."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed
from services.execution.messages import GeneratorConfig
from services.generation.accelerated import Accelerated, accelerate, warm_up
from services.generation.acceleration.workshop import Workshop
from services.generation.loading import load_pipeline
from services.generation.memory import (
    GIB,
    Placement,
    choose_dtype,
    choose_placement,
    free_bytes,
    needed_bytes,
    release_memory,
)
from services.generation.preview import Previewer
from services.generation.tier_denoisers import TierDenoisers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    entry: CatalogueEntry
    pipe: Any
    placement: Placement
    previewer: Previewer
    accelerated: Accelerated
    denoisers: TierDenoisers


class LoadedModels:
    """By name, the least recently used first."""

    def __init__(self, config: GeneratorConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._models: dict[str, LoadedModel] = {}
        self._workshop: Workshop | None = None
        if config.compile_dir is not None and config.compile != "off":
            self._workshop = Workshop(Path(config.compile_dir))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._models)

    def __getitem__(self, name: str) -> LoadedModel:
        return self._models[name]

    def load(self, entry: CatalogueEntry) -> LoadedModel:
        """The model; brought into memory where it is not there, for which others make room.

        Raises ExecutionFailed: ``model_unavailable``, ``out_of_memory``.
        """
        model = self._models.pop(entry.name, None)
        if model is not None and model.entry == entry:
            self._models[entry.name] = model
            return model
        del model
        self._make_room(entry)
        free = free_bytes(self._device)
        placement = choose_placement(entry, self._config, self._device, free=free)
        logger.info("%s goes to %s (%.1f GiB free there)", entry.name, placement, free / GIB)
        try:
            pipe = load_pipeline(entry, placement, self._config)
        except ExecutionFailed:
            release_memory(self._device)
            raise
        accelerated = accelerate(pipe, placement, compile_mode=self._config.compile, workshop=self._workshop)
        warm_up(pipe, placement, accelerated, entry.defaults)
        previewer = Previewer(pipe, self._device, may_decode=placement.offload == "none")
        denoisers = TierDenoisers(pipe.unet, placement, accelerated)
        self._models[entry.name] = LoadedModel(entry, pipe, placement, previewer, accelerated, denoisers)
        return self._models[entry.name]

    def unload_all(self) -> None:
        for name in self.names:
            self._unload(name)

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
