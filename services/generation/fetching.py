"""Results on their way from the device to the host."""

import torch


class Fetch:
    """Copies tensors to the host beside the device's further work.

    On CUDA the copy goes to pinned memory on a stream of its own; on a CPU there is nothing to copy.
    """

    def __init__(self, *tensors: torch.Tensor) -> None:
        self._tensors = tensors
        self._done: torch.cuda.Event | None = None
        device = tensors[0].device
        if device.type != "cuda":
            return
        work, copies = torch.cuda.current_stream(device), _copy_stream(device)
        copies.wait_stream(work)
        with torch.cuda.stream(copies):
            self._tensors = tuple(_to_pinned(tensor) for tensor in tensors)
            self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._done.record(copies)
        for tensor in tensors:
            # Its memory must not be given to others before it is copied.
            tensor.record_stream(copies)

    def wait(self) -> tuple[torch.Tensor, ...]:
        """The tensors, on the host."""
        if self._done is not None:
            self._done.synchronize()
        return self._tensors


def _to_pinned(tensor: torch.Tensor) -> torch.Tensor:
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    """From torch's pool, so that streams are not made anew for each chunk."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
