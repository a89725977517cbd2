"""What the desktop client asks for: the prompt, and the parameters within the limits of the chosen model."""

import tkinter
from collections.abc import Callable
from tkinter import ttk
from typing import cast

from clients.records import Model, Options, Quality

_NUMBERS = {
    "width": "Width",
    "height": "Height",
    "num_frames": "Frames",
    "fps": "Frames per second",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
}


class Form(ttk.Frame):
    """``on_generate`` is called when Ctrl+Enter is pressed in the prompt."""

    def __init__(self, parent: tkinter.Misc, on_generate: Callable[[], None]) -> None:
        super().__init__(parent)
        self._models: dict[str, Model] = {}
        self._on_generate = on_generate
        self.prompt = tkinter.Text(self, width=40, height=5, wrap="word", undo=True)
        # A text's own font is a typewriter's.
        self.prompt.configure(font="TkDefaultFont", relief="flat", padx=6, pady=4)
        self.prompt.bind("<Control-Return>", self._generate)
        # In a text Tab would be a letter, and nobody came out of it by keyboard.
        self.prompt.bind("<Tab>", self._leave_prompt)
        self.negative_prompt = ttk.Entry(self)
        self.model = ttk.Combobox(self, state="readonly")
        self.model.bind("<<ComboboxSelected>>", lambda _: self._take_defaults())
        self.quality = ttk.Combobox(self, state="readonly")
        self.quality.bind("<<ComboboxSelected>>", lambda _: self._take_steps())
        self.numbers = {name: ttk.Spinbox(self, width=8) for name in _NUMBERS}
        self.seed = ttk.Entry(self)
        rows: list[tuple[str, tkinter.Widget]] = [
            ("Prompt", self.prompt),
            ("Negative prompt", self.negative_prompt),
            ("Model", self.model),
            ("Quality", self.quality),
            *((label, self.numbers[name]) for name, label in _NUMBERS.items()),
            ("Seed (empty: random)", self.seed),
        ]
        for row, (label, widget) in enumerate(rows):
            ttk.Label(self, text=label).grid(row=row, column=0, sticky="nw", padx=(0, 12), pady=4)
            widget.grid(row=row, column=1, sticky="ew", pady=3)
        self.prompt.focus_set()

    @property
    def has_models(self) -> bool:
        return bool(self._models)

    def show_models(self, models: tuple[Model, ...]) -> None:
        self._models = {model.id: model for model in models}
        self.model.configure(values=list(self._models))
        self.model.set(next(model.id for model in models if model.default))
        self._take_defaults()

    def text(self) -> str:
        """The prompt."""
        return self.prompt.get("1.0", "end").strip()

    def options(self) -> Options:
        """All but the prompt. Raises ValueError, which names the field."""
        given = {name: _number(label, self.numbers[name].get()) for name, label in _NUMBERS.items()}
        given["seed"] = _number("Seed", self.seed.get())
        texts = Options(
            model=self.model.get() or None,
            negative_prompt=self.negative_prompt.get() or None,
            quality=cast(Quality, self.quality.get()) or None,
        )
        return texts | cast(Options, given)

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

    def _generate(self, _event: object) -> str:
        self._on_generate()
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
