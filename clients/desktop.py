"""The service in a window: ``python -m clients.desktop``. It reads ``T2V_URL`` and ``T2V_API_KEY``."""

import sys
import threading
import tkinter
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from tkinter import filedialog, messagebox, ttk
from typing import Any, cast

import av

from clients.async_client import completed
from clients.client import Client
from clients.errors import ClientError
from clients.frames import Film, decode
from clients.player import Player
from clients.records import Job, Model, Options, Quality, Update, note_of

PICTURE_PIXELS = 384
_TICK_MS = 40
_NUMBERS = {
    "width": "Width",
    "height": "Height",
    "num_frames": "Frames",
    "fps": "Frames per second",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
}


class Desktop(ttk.Frame):
    """The window's content. Only the main thread touches it: others leave what is to be done in a queue."""

    def __init__(self, root: tkinter.Tk, client: Client) -> None:
        super().__init__(root, padding=12)
        self._client = client
        self._todo: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._models: dict[str, Model] = {}
        self._job: Job | None = None
        self._clip = b""
        form, screen = ttk.Frame(self), ttk.Frame(self)
        form.grid(row=0, column=0, sticky="n", padx=(0, 12))
        screen.grid(row=0, column=1, sticky="n")
        self._build_form(form)
        self._build_screen(screen)
        self.grid()
        root.title("Text to video")
        root.protocol("WM_DELETE_WINDOW", self.close)
        self._in_background(self._load_models)
        self._tick()

    def _build_form(self, form: ttk.Frame) -> None:
        self.prompt = tkinter.Text(form, width=38, height=4, wrap="word", undo=True)
        self.prompt.bind("<Control-Return>", self._generate_by_key)
        # In a text Tab would be a letter, and nobody came out of it by keyboard.
        self.prompt.bind("<Tab>", self._leave_prompt)
        self.negative_prompt = ttk.Entry(form)
        self.model = ttk.Combobox(form, state="readonly")
        self.model.bind("<<ComboboxSelected>>", lambda _: self._take_defaults())
        self.quality = ttk.Combobox(form, state="readonly")
        self.quality.bind("<<ComboboxSelected>>", lambda _: self._take_steps())
        self.numbers = {name: ttk.Spinbox(form, width=8) for name in _NUMBERS}
        self.seed = ttk.Entry(form)
        rows: list[tuple[str, tkinter.Widget]] = [
            ("Prompt", self.prompt),
            ("Negative prompt", self.negative_prompt),
            ("Model", self.model),
            ("Quality", self.quality),
            *((label, self.numbers[name]) for name, label in _NUMBERS.items()),
            ("Seed (empty: random)", self.seed),
        ]
        for row, (label, widget) in enumerate(rows):
            ttk.Label(form, text=label).grid(row=row, column=0, sticky="nw", padx=(0, 8), pady=2)
            widget.grid(row=row, column=1, sticky="ew", pady=2)
        self.generate = ttk.Button(form, text="Generate (Ctrl+Enter)", command=self.start)
        self.generate.grid(columnspan=2, sticky="ew", pady=(8, 0))
        self.cancel = ttk.Button(form, text="Cancel", command=self._cancel, state="disabled")
        self.cancel.grid(columnspan=2, sticky="ew")
        self.prompt.focus_set()

    def _build_screen(self, screen: ttk.Frame) -> None:
        self.player = Player(screen, PICTURE_PIXELS)
        self.progress = ttk.Progressbar(screen, maximum=100)
        self.status = ttk.Label(screen, wraplength=PICTURE_PIXELS)
        self.play = ttk.Button(screen, text="Pause", command=self._toggle, state="disabled")
        self.save = ttk.Button(screen, text="Save as…", command=self._save_as, state="disabled")
        for widget in (self.player, self.progress, self.status, self.play, self.save):
            widget.grid(sticky="ew", pady=2)

    def start(self) -> None:
        """Make what the form says."""
        prompt = self.prompt.get("1.0", "end").strip()
        if self._is_busy or not prompt:
            self._say("Say in the prompt what the clip shows." if not prompt else self.status["text"])
            return
        try:
            options = self._wanted()
        except ValueError as error:
            self._say(str(error))
            return
        self._job, self.player.is_playing = None, False
        self._set_busy(True)
        self._in_background(self._make, prompt, options)

    def close(self) -> None:
        """Close the window; a job that runs is cancelled, left to itself, or keeps the window open."""
        if self._job is not None and not self._job.is_final:
            is_wanted = messagebox.askyesnocancel("Text to video", "Cancel the clip that is being made?")
            if is_wanted is None:
                return
            if is_wanted:
                self._call(self._client.cancel, self._job.id)
        self.winfo_toplevel().destroy()

    # In threads of their own

    def _load_models(self) -> None:
        models = self._client.models()
        self._todo.put(lambda: self._show_models(models))

    def _make(self, prompt: str, options: Options) -> None:
        try:
            job = self._client.create(prompt, **options)
            for update in self._client.follow(job.id):
                preview = decode(update.preview, PICTURE_PIXELS) if update.preview else None
                self._later(self._show_update, update, preview)
                job = update.job
            clip = self._client.read(completed(job).id)
            self._later(self._show_clip, clip, decode(clip, PICTURE_PIXELS))
        finally:
            self._later(self._set_busy, False)

    def _in_background(self, work: Callable[..., object], *arguments: Any) -> None:
        threading.Thread(target=self._call, args=(work, *arguments), daemon=True).start()

    def _call(self, work: Callable[..., object], *arguments: Any) -> None:
        """Do it, and show what goes wrong."""
        try:
            work(*arguments)
        except (ClientError, OSError, av.FFmpegError) as error:
            self._later(self._say, str(error))

    def _later(self, work: Callable[..., None], *arguments: Any) -> None:
        """Have the main thread do it."""
        self._todo.put(lambda: work(*arguments))

    # In the main thread

    def _tick(self) -> None:
        try:
            while True:
                self._todo.get_nowait()()
        except Empty:
            self._next = self.after(_TICK_MS, self._tick)

    def destroy(self) -> None:
        self.after_cancel(self._next)
        super().destroy()

    def _show_models(self, models: tuple[Model, ...]) -> None:
        self._models = {model.id: model for model in models}
        self.model.configure(values=list(self._models))
        self.model.set(next(model.id for model in models if model.default))
        self._take_defaults()

    def _take_defaults(self) -> None:
        model = self._models[self.model.get()]
        for name, box in self.numbers.items():
            limit = getattr(model.limits, name)
            step = 0.5 if name == "guidance_scale" else limit.multiple_of
            box.configure(from_=limit.minimum, to=limit.maximum, increment=step)
            box.set(f"{getattr(model.defaults, name):g}")
        self.quality.configure(values=[tier.quality for tier in model.tiers])
        self.quality.set("exact" if model.tiers else "")

    def _take_steps(self) -> None:
        tiers = {tier.quality: tier for tier in self._models[self.model.get()].tiers}
        self.numbers["num_inference_steps"].set(tiers[self.quality.get()].num_inference_steps)

    def _wanted(self) -> Options:
        """Raises ValueError, which names the field."""
        given = {name: _number(label, self.numbers[name].get()) for name, label in _NUMBERS.items()}
        given["seed"] = _number("Seed", self.seed.get())
        texts = Options(
            model=self.model.get() or None,
            negative_prompt=self.negative_prompt.get() or None,
            quality=cast(Quality, self.quality.get()) or None,
        )
        return texts | cast(Options, given)

    def _show_update(self, update: Update, preview: Film | None) -> None:
        self._job = job = update.job
        self.progress.configure(value=100 if job.status == "completed" else job.progress.percent)
        self._say(f"{job.status.replace('_', ' ').capitalize()} {note_of(job)}".strip())
        self.cancel.configure(state="disabled" if job.is_final else "normal")
        if preview is not None:
            self.player.show(preview)

    def _show_clip(self, clip: bytes, film: Film) -> None:
        self._clip = clip
        self.player.show(film)
        self.player.is_playing = True
        self.play.configure(state="normal", text="Pause")
        self.save.configure(state="normal")

    def _toggle(self) -> None:
        self.player.is_playing = not self.player.is_playing
        self.play.configure(text="Pause" if self.player.is_playing else "Play")

    def _cancel(self) -> None:
        if self._job is not None:
            self._in_background(self._client.cancel, self._job.id)

    def _save_as(self) -> None:
        name = f"{self._job.id}.mp4" if self._job else "clip.mp4"
        path = filedialog.asksaveasfilename(parent=self, initialfile=name, defaultextension=".mp4")
        if path:
            self._call(Path(path).write_bytes, self._clip)

    @property
    def _is_busy(self) -> bool:
        return str(self.generate["state"]) == "disabled"

    def _set_busy(self, is_busy: bool) -> None:
        self.generate.configure(state="disabled" if is_busy else "normal")
        if not is_busy:
            self.cancel.configure(state="disabled")

    def _say(self, text: str) -> None:
        self.status.configure(text=text)

    def _generate_by_key(self, _event: object) -> str:
        self.start()
        return "break"

    def _leave_prompt(self, _event: object) -> str:
        self.negative_prompt.focus_set()
        return "break"


def _number(label: str, text: str) -> int | float | None:
    """None for nothing. Raises ValueError."""
    try:
        number = float(text) if text.strip() else None
    except ValueError:
        raise ValueError(f"{label}: {text!r} is no number.") from None
    return int(number) if number is not None and number.is_integer() else number


def main() -> int:
    try:
        client = Client()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with client:
        root = tkinter.Tk()
        Desktop(root, client)
        root.mainloop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
