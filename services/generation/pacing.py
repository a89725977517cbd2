"""Keeps the program close to a device that works behind it."""

from collections import deque

import torch

_STEPS_AHEAD = 1


class Pacer:
    """Lets the host queue at most one step while the device works on the one before.

    CUDA runs what it is given later. Without a limit all steps would be queued within milliseconds:
    progress would run ahead of the clip, and a cancellation would stop nothing. One step in the queue keeps
    the device busy. Other devices work at once and are not waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: deque[torch.cuda.Event] = deque()

    def step(self) -> None:
        """Say that a step was queued; waits until the one before it is done."""
        if self._device.type != "cuda":
            return
        mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        mark.record(torch.cuda.current_stream(self._device))
        self._marks.append(mark)
        while len(self._marks) > _STEPS_AHEAD:
            self._marks.popleft().synchronize()
