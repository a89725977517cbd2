"""What the command line shows: results on standard output, everything else on standard error."""

import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from clients.records import Job, note_of

_GAP = 2
"""Cells between two columns of a table without a frame."""

Choice = Literal["cancel", "wait", "leave"]

_CHOICES: dict[str, Choice] = {"y": "cancel", "yes": "cancel", "n": "wait", "no": "wait", "l": "leave"}


class Terminal:
    """Progress bars and questions need a terminal; without one there are lines, and nothing is asked."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)
        self._quiet = quiet

    def result(self, text: str) -> None:
        print(printable(text))

    def record(self, record: BaseModel) -> None:
        """As one line of JSON."""
        print(record.model_dump_json())

    def say(self, text: str) -> None:
        if not self._quiet:
            self._err.print(Text(printable(text)), soft_wrap=True)

    def complain(self, text: str) -> None:
        self._err.print(Text(printable(text)), style="red", soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The last column gives way where the terminal is narrow; tabs part them where nothing else fits."""
        cells = [[printable(" ".join(cell.split())) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
        least = sum(widths[:-1]) + _GAP * (len(columns) - 1) + cell_len(columns[-1])
        if not self._out.is_terminal or least > self._out.width:
            for row in cells:
                print("\t".join(row))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns[:-1]:
            table.add_column(column, no_wrap=True)
        # Only columns that may wrap give way; the text does not, but is cut.
        table.add_column(columns[-1])
        for row in cells:
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
        self._out.print(table)

    @contextmanager
    def progress(self) -> Iterator[Callable[[Job], None]]:
        """Gives what is to be called with every news of a job."""
        if self._quiet:
            yield lambda _: None
        elif self._err.is_terminal:
            with self._bar() as show:
                yield show
        else:
            yield self._lines()

    @contextmanager
    def _bar(self) -> Iterator[Callable[[Job], None]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._err, expand=True) as bar:
            task = bar.add_task("queued", total=100, note="")

            def show(job: Job) -> None:
                done = 100.0 if job.status == "completed" else job.progress.percent
                bar.update(task, description=job.status.replace("_", " "), completed=done, note=note_of(job))

            yield show

    def _lines(self) -> Callable[[Job], None]:
        last = ""

        def show(job: Job) -> None:
            nonlocal last
            if job.status != last:
                self.say(f"{job.id} {job.status}")
                last = job.status

        return show

    def ask_to_cancel(self, job_id: str) -> Choice:
        """What is to become of the job: asked after Ctrl-C; pressing it again means cancel."""
        if not (sys.stdin.isatty() and self._err.is_terminal):
            return "leave"
        question = f"\nCancel {job_id}? (y)es, (n)o: wait on, (l)eave it running [Ctrl-C again: yes] "
        while True:
            try:
                self._err.print(Text(question), end="")
                answer = _typed_line()
            except KeyboardInterrupt:
                self._err.print()
                return "cancel"
            if not answer:
                return "leave"
            if (choice := _CHOICES.get(answer.strip().lower())) is not None:
                return choice


def _typed_line() -> str:
    """Ctrl-C ends the wait always: a read alone would not see one that came just before the read began."""
    if sys.platform != "win32":
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            pass
    return sys.stdin.readline()


def printable(text: str) -> str:
    """Without what would move the cursor or colour the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
