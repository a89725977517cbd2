"""One network taught by several processes, each of which works out its part of every batch.

A second thread hardly makes a step of so small a network shorter, a second process makes it a third shorter.
Torch's launcher starts them: python -m torch.distributed.run --nproc-per-node 2 -m -- training.train_unet
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from services.generation.threads import cores

_LONGEST_WAIT = timedelta(hours=12)
"""For the process that leads, which alone draws and encodes all clips."""


@dataclass(frozen=True)
class Team:
    """Which of the processes this one is, and how many there are. The first leads: it alone writes files."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> "Team":
        """As torch's launcher says; alone where it started nothing."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        torch.set_num_threads(max(1, int(cores() / size)))
        dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
        return cls(dist.get_rank(), size)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def part(self) -> slice:
        """This process's part of a batch whose length its size divides."""
        return slice(self.rank, None, self.size)

    def average(self, weights: Iterable[nn.Parameter]) -> None:
        """Make every process's gradients the mean of all. They must be there for the same weights in each."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._add(gradients)
        for gradient in gradients:
            gradient /= self.size

    def map(
        self, work: Callable[[torch.Tensor], torch.Tensor], tensors: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """``work``, which keeps shapes, on tensors that all processes have: one does each, and tells all."""
        results = [
            work(tensor) if index % self.size == self.rank else torch.zeros_like(tensor)
            for index, tensor in enumerate(tensors)
        ]
        self._add(results)
        return results

    def _add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Make each tensor the sum of every process's."""
        if self.size == 1 or not tensors:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(together)
        sums = torch.split(together, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view_as(tensor))

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """At the end."""
        if self.size > 1:
            dist.destroy_process_group()


def best_size(batch_size: int) -> int:
    """A process for each core, as far as a batch can be parted; one where there is CUDA."""
    if torch.cuda.is_available():
        return 1
    return max(
        size for size in range(1, batch_size + 1) if batch_size % size == 0 and size <= max(1, cores())
    )
