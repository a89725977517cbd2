"""The compiled calls of one model."""

import logging
import threading
from pathlib import Path
from typing import Any

import torch

from services.generation.acceleration.backend import Backend, Compiled
from services.generation.acceleration.compile_spec import CompileSpec, describe_call, describe_structure
from services.generation.acceleration.workshop import Workshop
from services.generation.memory import is_out_of_memory

logger = logging.getLogger(__name__)


class Compiler:
    """Finds calls that are compiled, and has the others compiled.

    Args:
        techniques: What was applied to the networks.
    """

    def __init__(self, workshop: Workshop, techniques: tuple[str, ...], backend: Backend) -> None:
        self._workshop = workshop
        self._techniques = techniques
        self._backend = backend
        self._structures: dict[Any, str] = {}
        self._loaded: dict[Any, Compiled] = {}
        self._loading: dict[Any, threading.Thread] = {}

    def with_technique(self, name: str) -> "Compiler":
        """For networks that were given one technique more."""
        return Compiler(self._workshop, (*self._techniques, name), self._backend)

    def find(self, call: Any, tensors: list[torch.Tensor]) -> Compiled | None:
        """``call`` compiled for tensors of these shapes: the same object while it is in use; None until then.

        A failure to compile or to load is logged, and no error: the call itself does the same.
        """
        key = (call, tuple((each.dtype, each.shape) for each in tensors))
        # A thread that loads another may drop this one at the same moment.
        compiled = self._loaded.pop(key, None)
        if compiled is not None:
            self._loaded[key] = compiled
            return compiled
        if key in self._loading:
            return None
        if call not in self._structures:
            self._structures[call] = describe_structure(call)
        spec = describe_call(call, self._techniques, self._structures[call], tensors, self._backend.name)
        path = self._workshop.get(spec)
        if path is None:
            return None
        if not self._backend.loads_aside:
            self._load(key, spec, path, tensors)
            return self._loaded.get(key)
        copies = [each.clone() for each in tensors]
        loading = threading.Thread(target=self._load_aside, args=(key, spec, path, copies), daemon=True)
        self._loading[key] = loading
        loading.start()
        return None

    def wait_until_loaded(self) -> None:
        """Until what is compiled already is in use; not for what is being compiled."""
        for loading in list(self._loading.values()):
            loading.join()

    def _load(self, key: Any, spec: CompileSpec, path: Path, tensors: list[torch.Tensor]) -> None:
        self._workshop.open_to_this_process()
        try:
            compiled = self._backend.load(path, key[0])
            compiled(*tensors)
        except Exception as error:
            if is_out_of_memory(error) and not self._backend.loads_aside:
                raise
            # Whatever it is that a library raises for a file that does not fit.
            self._workshop.discard(spec, f"{type(error).__name__}: {error}".partition("\n")[0])
            return
        self._loaded[key] = compiled
        logger.info("%s for %s is compiled from now on", spec.network, spec.tensors[0][1])
        while len(self._loaded) > self._backend.most_loaded:
            self._loaded.pop(next(iter(self._loaded)), None)

    def _load_aside(self, key: Any, spec: CompileSpec, path: Path, tensors: list[torch.Tensor]) -> None:
        try:
            with torch.inference_mode():
                self._load(key, spec, path, tensors)
        finally:
            del self._loading[key]
