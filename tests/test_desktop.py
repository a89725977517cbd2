"""The desktop client in a window of its own, on a virtual screen."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import ImageGrab

from clients.frames import decode
from tests.client_service import ClientService
from tests.clips import make_clip
from tests.display import XVFB, virtual_display
from tests.running_service import REPOSITORY_ROOT, free_port

tkinter = pytest.importorskip("tkinter", reason="this Python has no tkinter (apt-get install python3-tk)")
if XVFB is None:
    pytest.skip("there is no Xvfb (apt-get install xvfb)", allow_module_level=True)

from clients.client import Client  # noqa: E402
from clients.desktop import Desktop  # noqa: E402


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with virtual_display() as display:
        yield display


class Window:
    """The client's window, used as a person would."""

    def __init__(self, display: str, client: Client) -> None:
        self.root = tkinter.Tk(display)
        self.app = Desktop(self.root, client)

    def until(self, predicate: Callable[[], object], timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, self.status
            self.root.update()
            time.sleep(0.005)

    @property
    def status(self) -> str:
        return str(self.app.status["text"])

    def write(self, prompt: str) -> None:
        self.app.form.prompt.delete("1.0", "end")
        self.app.form.prompt.insert("1.0", prompt)

    @property
    def is_closed(self) -> bool:
        try:
            return not self.root.winfo_exists()
        except tkinter.TclError:
            return True

    def answer(self, dialog: str, then: Callable[[str], None]) -> None:
        """Do ``then`` with the path of a dialog of Tk's own, once it is there: it holds up who opened it."""
        for name in widgets_below(self.root, "."):
            if name.endswith(dialog):
                then(name)
                return
        self.root.after(50, lambda: self.answer(dialog, then))

    def close(self) -> None:
        if not self.is_closed:
            self.root.destroy()
        # Tcl aborts the process when the garbage collector ends an interpreter in a thread not its own.
        del self.app, self.root
        gc.collect()


@contextmanager
def opened(display: str, service: ClientService) -> Iterator[Window]:
    with service.client() as client:
        window = Window(display, client)
        window.until(lambda: window.app.form.model.get())
        yield window
        window.close()


@pytest.fixture
def window(display: str, client_service: ClientService) -> Iterator[Window]:
    with opened(display, client_service) as window:
        yield window


@pytest.fixture
def scripted_window(display: str, scripted_service: ClientService) -> Iterator[Window]:
    """A clip lasts here as long as its prompt says."""
    with opened(display, scripted_service) as window:
        yield window


def state(button: object) -> str:
    return str(button["state"])  # type: ignore[index]


def test_a_clip_is_made_plays_and_is_saved(window: Window, tmp_path: Path) -> None:
    app = window.app
    assert app.form.model.get() == "demo"
    assert app.form.numbers["width"].get() == "128"
    assert (app.form.quality.get(), app.form.numbers["num_inference_steps"].get()) == ("exact", "20")
    app.form.quality.set("fast")
    app.form.quality.event_generate("<<ComboboxSelected>>")
    window.until(lambda: app.form.numbers["num_inference_steps"].get() != "20")
    window.write("a red circle moving left")
    app.form.seed.insert(0, "7")
    app.form.prompt.focus_force()
    app.form.prompt.event_generate("<Control-Return>")
    percents: set[float] = set()
    window.until(lambda: percents.add(float(app.progress["value"])) or state(app.save) == "normal")
    assert len(percents) > 3
    assert window.status == "Completed, seed 7"
    assert state(app.generate) == "normal"

    shown: set[str] = set()
    window.until(lambda: shown.add(str(app.player["image"])) or len(shown) == 8, 20)
    app.play.invoke()
    still = str(app.player["image"])
    end = time.monotonic() + 0.5
    window.until(lambda: time.monotonic() > end)
    assert str(app.player["image"]) == still

    path = tmp_path / "saved.mp4"
    tk = window.root.tk

    def choose(dialog: str) -> None:
        tk.call(f"{dialog}.contents.f2.ent", "delete", 0, "end")
        tk.call(f"{dialog}.contents.f2.ent", "insert", 0, str(path))
        tk.call(f"{dialog}.contents.f2.ok", "invoke")

    window.answer("__tk_filedialog", choose)
    app.save.invoke()
    assert path.read_bytes()[4:8] == b"ftyp"


def widgets_below(root: "tkinter.Tk", parent: str) -> Iterator[str]:
    """Tk's own names: of the dialogs that it makes itself tkinter knows nothing."""
    for name in root.tk.splitlist(root.tk.call("winfo", "children", parent)):
        yield str(name)
        yield from widgets_below(root, str(name))


def test_cancel(scripted_window: Window) -> None:
    window = scripted_window
    window.write("a blue star")
    window.app.generate.invoke()
    window.until(lambda: state(window.app.save) == "normal")
    window.write("wait never")
    window.app.generate.invoke()
    assert state(window.app.generate) == "disabled"
    window.until(lambda: "step" in window.status)
    assert state(window.app.save) == "disabled", "that clip has another name"
    window.app.cancel.invoke()
    window.until(lambda: "was cancelled" in window.status)
    assert state(window.app.generate) == "normal"
    assert state(window.app.cancel) == "disabled"


def test_closing_asks_for_the_clip_in_the_making(
    scripted_window: Window, scripted_service: ClientService
) -> None:
    window = scripted_window
    window.write("wait never again")
    window.app.generate.invoke()
    window.until(lambda: "step" in window.status)
    tk = window.root.tk
    window.answer("__tk__messagebox", lambda dialog: tk.call(f"{dialog}.cancel", "invoke"))
    window.app.close()
    assert not window.is_closed
    window.answer("__tk__messagebox", lambda dialog: tk.call(f"{dialog}.yes", "invoke"))
    window.app.close()
    assert window.is_closed
    with scripted_service.client() as client:
        job = next(client.list(q="never again"))
        scripted_service.service.wait_for(job.id, "cancelled")


def test_what_is_wrong_is_said_in_the_window(window: Window) -> None:
    app = window.app
    app.generate.invoke()
    assert "Say in the prompt" in window.status
    window.write("a star")
    app.form.numbers["width"].set("63")
    app.generate.invoke()
    window.until(lambda: "width" in window.status and state(app.generate) == "normal")
    app.form.seed.insert(0, "lucky")
    app.generate.invoke()
    assert window.status == "Seed: 'lucky' is no number."


def test_tab_leaves_the_prompt(window: Window) -> None:
    window.app.form.prompt.focus_force()
    window.root.update()
    window.app.form.prompt.event_generate("<Tab>")
    window.root.update()
    assert window.root.focus_get() is window.app.form.negative_prompt


def test_no_service_is_said_in_the_window(display: str) -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as client:
        window = Window(display, client)
        window.until(lambda: "No answer" in window.status)
        window.close()


def test_it_starts_as_a_program(display: str, client_service: ClientService) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "clients.desktop"],
        cwd=REPOSITORY_ROOT,
        env=client_service.environment | {"DISPLAY": display},
    )
    try:
        deadline = time.monotonic() + 60
        while len(ImageGrab.grab(xdisplay=display).getcolors(maxcolors=1024 * 768)) < 10:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < deadline, "no window came"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def test_frames_are_scaled_and_kept_in_order() -> None:
    film = decode(make_clip(frames=8, size=64, fps=8), largest=100)
    assert film.fps == 8
    assert len(film.frames) == 8
    assert all(frame.startswith(b"P6 100 100 255\n") for frame in film.frames)
    assert {len(frame) for frame in film.frames} == {len(b"P6 100 100 255\n") + 3 * 100 * 100}
    assert len(set(film.frames)) == 8


def test_a_display_that_is_missing_is_said() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-m", "clients.desktop"],
        cwd=REPOSITORY_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "display" in done.stderr
