"""The service in a window: ``python -m clients.desktop``. It reads ``T2V_URL`` and ``T2V_API_KEY``."""

import sys
import threading
import tkinter
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from tkinter import filedialog, messagebox, ttk
from typing import Any

import av

from clients.async_client import completed
from clients.client import Client
from clients.desktop_form import Form
from clients.errors import ClientError
from clients.frames import Film, decode
from clients.player import Player
from clients.records import Job, Options, Update, note_of

PICTURE_PIXELS = 384
_TICK_MS = 40


class Desktop(ttk.Frame):
    """The window's content. Only the main thread touches it: others leave what is to be done in a queue."""

    def __init__(self, root: tkinter.Tk, client: Client) -> None:
        super().__init__(root, padding=16)
        self._client = client
        self._todo: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._job: Job | None = None
        self._clip = b""
        self._build_form()
        self._build_screen()
        self.grid()
        root.title("Text to video")
        root.resizable(width=False, height=False)
        root.protocol("WM_DELETE_WINDOW", self.close)
        self._in_background(self._load_models)
        self._tick()

    def _build_form(self) -> None:
        side = ttk.Frame(self)
        side.grid(row=0, column=0, sticky="n", padx=(0, 16))
        self.form = Form(side, self.start)
        self.generate = ttk.Button(
            side, text="Generate (Ctrl+Enter)", style="Primary.TButton", command=self.start
        )
        self.cancel = ttk.Button(side, text="Cancel", command=self._cancel, state="disabled")
        self.form.grid(sticky="ew")
        self.generate.grid(sticky="ew", pady=(12, 4), ipady=4)
        self.cancel.grid(sticky="ew", ipady=4)

    def _build_screen(self) -> None:
        screen = ttk.Frame(self)
        screen.grid(row=0, column=1, sticky="n")
        self.player = Player(screen, PICTURE_PIXELS)
        self.progress = ttk.Progressbar(screen, maximum=100)
        self.status = ttk.Label(screen, wraplength=PICTURE_PIXELS)
        self.play = ttk.Button(screen, text="Pause", command=self._toggle, state="disabled")
        self.save = ttk.Button(screen, text="Save as…", command=self._save_as, state="disabled")
        for widget in (self.player, self.progress, self.status, self.play, self.save):
            widget.grid(sticky="ew", pady=2)

    def start(self) -> None:
        """Make what the form says."""
        prompt = self.form.text()
        if self._is_busy or not prompt:
            self._say("Say in the prompt what the clip shows." if not prompt else self.status["text"])
            return
        try:
            options = self.form.options()
        except ValueError as error:
            self._say(str(error))
            return
        self._job, self.player.is_playing = None, False
        for button in (self.play, self.save):
            button.configure(state="disabled")
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
        self._later(self.form.show_models, models)

    def _make(self, prompt: str, options: Options) -> None:
        try:
            if not self.form.has_models:
                # The service was not there yet when the window opened.
                self._load_models()
            job = self._client.create(prompt, **options)
            for update in self._client.follow(job.id):
                preview = decode(update.preview, PICTURE_PIXELS) if update.preview else None
                self._later(self._show_update, update, preview)
                job = update.job
            clip = self._client.read(completed(job).id)
            self._later(self._show_clip, job, clip, decode(clip, PICTURE_PIXELS))
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

    def _show_update(self, update: Update, preview: Film | None) -> None:
        self._job = job = update.job
        self.progress.configure(value=100 if job.status == "completed" else job.progress.percent)
        self._say(f"{job.status.replace('_', ' ').capitalize()} {note_of(job)}".strip())
        self.cancel.configure(state="disabled" if job.is_final else "normal")
        if preview is not None:
            self.player.show(preview)

    def _show_clip(self, job: Job, clip: bytes, film: Film) -> None:
        self._clip = clip
        self._say(f"Completed, seed {job.params.seed}")
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


def dress(root: tkinter.Tk) -> None:
    """Where the system brings no looks of its own."""
    if root.tk.call("tk", "windowingsystem") != "x11":
        return
    style = ttk.Style(root)
    style.theme_use("clam")
    style.configure(".", background="#f5f6f2", troughcolor="#dde1d8")
    style.configure("TProgressbar", background="#0f6e60", bordercolor="#dde1d8")
    style.configure("Primary.TButton", background="#0f6e60", foreground="#ffffff")
    style.map(
        "Primary.TButton",
        background=[("disabled", "#5d8a80"), ("active", "#0a574c")],
        foreground=[("disabled", "#ffffff")],
    )


def main() -> int:
    try:
        client = Client()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with client:
        root = tkinter.Tk()
        dress(root)
        Desktop(root, client)
        root.mainloop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
