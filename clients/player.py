"""A clip that plays in a tkinter window, over and over."""

import tkinter

from clients.frames import Film


class Player(tkinter.Label):
    """A square of ``side`` pixels, black until something is shown."""

    def __init__(self, parent: tkinter.Misc, side: int) -> None:
        self._black = tkinter.PhotoImage(width=side, height=side)
        super().__init__(
            parent, image=self._black, background="#202020", borderwidth=0, width=side, height=side
        )
        self._pictures = [self._black]
        self._place, self._frame_ms = 0, 125
        self.is_playing = False
        self._advance()

    def show(self, film: Film) -> None:
        """Its first frame, from which it goes on when it plays."""
        self._pictures = [tkinter.PhotoImage(data=frame, format="ppm") for frame in film.frames]
        self._place, self._frame_ms = 0, max(1, round(1000 / film.fps))
        self.configure(image=self._pictures[0])

    def _advance(self) -> None:
        if self.is_playing:
            self._place = (self._place + 1) % len(self._pictures)
            self.configure(image=self._pictures[self._place])
        self._next = self.after(self._frame_ms, self._advance)

    def destroy(self) -> None:
        self.after_cancel(self._next)
        super().destroy()
        # Here and now: later the garbage collector might, in a thread from which tkinter cannot be called.
        self._pictures.clear()
        del self._black
