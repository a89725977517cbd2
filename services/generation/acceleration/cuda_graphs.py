"""A function's kernels recorded once for each shape and replayed in one call.

A step of the reference model is some 1,500 kernels, which Python launches more slowly than a large GPU
computes them. These are graphs of our own, not torch.compile's ``reduce-overhead``, whose trees belong to a
thread, check every weight's address before each replay, and record nothing that is not compiled yet.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

logger = logging.getLogger(__name__)

Outputs = tuple[torch.Tensor, ...]
Function = Callable[..., Outputs]

_MAX_GRAPHS = 6
# What must stay free beside a graph's own memory, for the work that is not recorded.
_HEADROOM_BYTES = 2 * 2**30


@dataclass
class _Recording:
    function: Function
    graph: Any
    inputs: list[torch.Tensor]
    lasting: list[torch.Tensor]
    outputs: Outputs
    holds: list[torch.Tensor]
    """Whose values ``lasting`` has."""


class CudaGraphs:
    """Calls functions by replaying them. To be used on one thread, like the device.

    The first call with a shape runs as it is, the second records: what is called once is not recorded. Where
    memory does not suffice, or recording fails, calls go on as they are.

    Args:
        max_graphs: How many recordings are kept; the least recently used goes first.
    """

    def __init__(self, device: torch.device, max_graphs: int = _MAX_GRAPHS) -> None:
        self._device = device
        self._max_graphs = max_graphs
        self._recordings: dict[Any, _Recording | None] = {}
        self._seen: set[Any] = set()
        self._pool: Any = None
        self._stream: Any = None

    def __call__(
        self, function: Function, inputs: list[torch.Tensor], lasting: list[torch.Tensor]
    ) -> Outputs:
        """``function(*inputs, *lasting)``, whose outputs depend on nothing else.

        Args:
            inputs: Tensors that change from call to call.
            lasting: Tensors that stay the same over many calls as long as the list is the same object.
        """
        key = (function, *(_shape(tensor) for tensor in (*inputs, *lasting)))
        if key not in self._recordings:
            if key not in self._seen:
                self._seen.add(key)
                return function(*inputs, *lasting)
            self._recordings[key] = self._try_to_record(function, inputs, lasting)
            self._drop_oldest()
        recording = self._recordings[key] = self._recordings.pop(key)
        if recording is None:
            return function(*inputs, *lasting)
        return _replay(recording, inputs, lasting)

    def clear(self) -> None:
        """Give back the memory of all recordings."""
        self._recordings.clear()
        self._seen.clear()
        self._pool = None

    def _drop_oldest(self) -> None:
        while len(self._recordings) > self._max_graphs:
            oldest = next(iter(self._recordings))
            del self._recordings[oldest]
            self._seen.discard(oldest)

    def _try_to_record(
        self, function: Function, inputs: list[torch.Tensor], lasting: list[torch.Tensor]
    ) -> _Recording | None:
        try:
            return self._record(function, inputs, lasting)
        except RuntimeError as error:
            # Recording changes speed alone: the clip is made without it. Out of memory is a RuntimeError too.
            logger.warning("no CUDA graph of %s: %s", _shape(inputs[0]), str(error).partition("\n")[0])
            return None

    def _record(
        self, function: Function, inputs: list[torch.Tensor], lasting: list[torch.Tensor]
    ) -> _Recording | None:
        device = self._device
        static, static_lasting = [each.clone() for each in inputs], [each.clone() for each in lasting]
        if self._stream is None:
            # One for all: recordings share memory only where they share the stream.
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream(device))
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        with torch.cuda.stream(stream):
            # Libraries make their workspaces and choose their kernels now: recording must not.
            function(*static, *static_lasting)
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.cuda.synchronize(device)
        needed = torch.cuda.max_memory_allocated(device) - before
        torch.cuda.empty_cache()
        if torch.cuda.mem_get_info(device)[0] < needed + _HEADROOM_BYTES:
            logger.info("no CUDA graph of %s: %d MiB are too many", _shape(inputs[0]), needed >> 20)
            return None
        if self._pool is None:
            # Shared: recordings are replayed one after the other, and nobody keeps what they put out.
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # thread_local: what other threads do with the device meanwhile does not spoil the recording.
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            outputs = function(*static, *static_lasting)
        return _Recording(function, graph, static, static_lasting, outputs, lasting)


def _replay(recording: _Recording, inputs: list[torch.Tensor], lasting: list[torch.Tensor]) -> Outputs:
    if recording.holds is not lasting:
        for mine, given in zip(recording.lasting, lasting, strict=True):
            mine.copy_(given)
        recording.holds = lasting
    for mine, given in zip(recording.inputs, inputs, strict=True):
        mine.copy_(given)
    recording.graph.replay()
    return tuple(output.clone() for output in recording.outputs)


def _shape(tensor: torch.Tensor) -> tuple[torch.dtype, tuple[int, ...]]:
    return tensor.dtype, tuple(tensor.shape)
