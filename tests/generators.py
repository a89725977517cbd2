"""Generators for tests, run in real worker processes. What ``ScriptedGenerator`` does, the prompt says."""

import os
import signal
import time
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from models.job import Timings
from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.execution.messages import Completed, GenerationRequest, GeneratorConfig, Progress
from tests.clips import make_clip

SCRIPTED = "tests.generators:ScriptedGenerator"
BROKEN = "tests.generators:BrokenGenerator"
EXITING = "tests.generators:ExitingGenerator"
ABSENT = "tests.generators:AbsentModelGenerator"

_clip = cache(make_clip)


@cache
def make_preview(step: int) -> bytes:
    """A grey square, lighter from step to step."""
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (min(255, 20 * step),) * 3).save(buffer, "JPEG")
    return buffer.getvalue()


class ScriptedGenerator:
    """Makes ``num_inference_steps`` steps and answers a small real MP4.

    The prompt's first word is what happens at the second step, its second word an argument:

    - ``pace <seconds>``: every step takes so long, and has a preview;
    - ``wait <file>``: it waits, cancellable, until the file is there;
    - ``hang``: it waits forever and ignores cancellation;
    - ``exit``, ``kill``: the process ends by itself, or by SIGKILL; with ``once <file>`` after it only if the
      file is missing, which is then made;
    - ``refuse <code> <message>``: the job fails with this code;
    - ``bug``: an exception that nobody expects, with a path in its message;
    - ``garbage``: the answer is no MP4.

    Anything else is made at once. The model ``missing`` cannot be loaded.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self._loaded: dict[str, CatalogueEntry] = {}

    @property
    def device(self) -> str:
        return f"scripted on {self._config.device}"

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._loaded)

    def load(self, model: CatalogueEntry) -> None:
        if model.name == "missing":
            raise ExecutionFailed("model_unavailable", "the checkpoint is missing")
        self._loaded[model.name] = model

    def unload_all(self) -> None:
        self._loaded.clear()

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        self.load(request.model)
        params = request.params
        words = params.prompt.split()
        started = time.monotonic()
        for step in range(params.num_inference_steps + 1):
            if is_cancelled():
                raise GenerationCancelled
            preview = make_preview(step) if words[0] == "pace" and step else None
            on_progress(Progress(request.job_id, step, params.num_inference_steps, preview))
            if words[0] == "pace":
                time.sleep(float(words[1]))
            elif step == 1:
                self._act(words, is_cancelled)
        video = b"no video" if words[0] == "garbage" else _clip(frames=params.num_frames, fps=params.fps)
        return Completed(
            job_id=request.job_id,
            video=video,
            thumbnail=b"thumbnail",
            timings=Timings(load=0.0, denoise=time.monotonic() - started),
            unknown_words=tuple(word for word in words if word == "zyzzyva"),
        )

    def _act(self, words: list[str], is_cancelled: Callable[[], bool]) -> None:
        action, arguments = words[0], words[1:]
        if action in ("exit", "kill") and arguments[:1] == ["once"]:
            marker = Path(arguments[1])
            if marker.exists():
                return
            marker.touch()
        if action == "exit":
            os._exit(7)
        elif action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "refuse":
            raise ExecutionFailed(arguments[0], " ".join(arguments[1:]) or "as the script says")
        elif action == "bug":
            raise RuntimeError("something at /home/somebody/secret.py is wrong")
        elif action == "hang":
            while True:
                time.sleep(1)
        elif action == "wait":
            while not Path(arguments[0]).exists():
                if is_cancelled():
                    raise GenerationCancelled
                time.sleep(0.005)


class BrokenGenerator(ScriptedGenerator):
    """Cannot be made."""

    def __init__(self, config: GeneratorConfig) -> None:
        raise RuntimeError("no driver")


class AbsentModelGenerator(ScriptedGenerator):
    """Loads nothing until the file that stands for the checkpoint cache is there."""

    def load(self, model: CatalogueEntry) -> None:
        if self._config.cache_dir is None or not Path(self._config.cache_dir).exists():
            raise ExecutionFailed("model_unavailable", "the checkpoint is missing")
        super().load(model)


class ExitingGenerator(ScriptedGenerator):
    """Ends the process while it is made, unless the file that stands for the checkpoint cache is there."""

    def __init__(self, config: GeneratorConfig) -> None:
        if config.cache_dir is None or not Path(config.cache_dir).exists():
            os._exit(9)
        super().__init__(config)
