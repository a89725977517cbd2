"""How many answers each owner holds open: event streams, and requests that wait for their job."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class OpenAnswers:
    """Counts in this process: what an open answer costs, its process pays."""

    def __init__(self, per_owner: int) -> None:
        self.per_owner = per_owner
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, owner: str) -> Iterator[bool]:
        """Whether the owner may hold one more; it counts while the block runs."""
        if self._open[owner] >= self.per_owner:
            yield False
            return
        self._open[owner] += 1
        try:
            yield True
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    def count(self, owner: str) -> int:
        return self._open.get(owner, 0)
