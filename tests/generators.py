"""Generators for tests, run in real worker processes. What ``ScriptedGenerator`` does, the prompt says."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from models.job import Timings
from services.catalogue_entry import CatalogueEntry
from services.execution.executor import Clip, ExecutionFailed, GenerationCancelled
from services.execution.messages import Completed, GeneratorConfig
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
    - ``garbage``: the answer is no MP4;
    - ``decode <file>``: after the last step it waits, cancellable, until the file is there;
    - ``encode <file>``: once the device is free, encoding waits, cancellable, until the file is there.

    Anything else is made at once. The model ``missing`` cannot be loaded. Clips that are made together take
    their steps together; ``unknown_words`` tells of ``zyzzyva``, and ``dropped_text`` how many there were.
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

    def make(self, clips: Sequence[Clip]) -> None:
        self.load(clips[0].request.model)
        started = time.monotonic()
        left = list(clips)
        for step in range(clips[0].request.params.num_inference_steps + 1):
            left = [clip for clip in left if self._step(clip, step)]
        for clip in [clip for clip in left if self._decode(clip)]:
            clip.leave_device(self._config.max_batch or 1)
            completed = self._completed(clip, time.monotonic() - started, len(clips))
            words = clip.request.params.prompt.split()
            if words[0] == "encode":
                threading.Thread(target=self._encode, args=(clip, Path(words[1]), completed)).start()
            else:
                clip.complete(completed)

    def _step(self, clip: Clip, step: int) -> bool:
        """Whether the clip goes on."""
        words = clip.request.params.prompt.split()
        try:
            if clip.is_cancelled:
                raise GenerationCancelled
            clip.progress(step, make_preview(step) if words[0] == "pace" and step else None)
            if words[0] == "pace":
                time.sleep(float(words[1]))
            elif step == 1:
                self._act(words, lambda: clip.is_cancelled)
        except Exception as error:
            clip.fail(error)
            return False
        return True

    def _decode(self, clip: Clip) -> bool:
        """Whether the clip goes on."""
        words = clip.request.params.prompt.split()
        if words[0] == "decode":
            try:
                self._act(["wait", *words[1:]], lambda: clip.is_cancelled)
            except GenerationCancelled as error:
                clip.fail(error)
                return False
        return True

    def _completed(self, clip: Clip, seconds: float, together: int) -> Completed:
        params = clip.request.params
        words = params.prompt.split()
        return Completed(
            job_id=clip.request.job_id,
            video=b"no video" if words[0] == "garbage" else _clip(frames=params.num_frames, fps=params.fps),
            thumbnail=b"thumbnail",
            timings=Timings(load=0.0, denoise=seconds),
            unknown_words=tuple(word for word in words if word == "zyzzyva"),
            dropped_text=f"{together} together" if together > 1 else None,
        )

    def _encode(self, clip: Clip, gate: Path, completed: Completed) -> None:
        while not gate.exists():
            if clip.is_cancelled:
                clip.fail(GenerationCancelled())
                return
            time.sleep(0.005)
        clip.complete(completed)

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
