"""Tells how a thing moves from where it is in each frame."""

import numpy as np
from numpy.typing import NDArray

from training.world.motions import DIRECTIONS, GROWTH, SPEEDS, TRAVEL, TURNS, path

Points = NDArray[np.float64]

STILL = 0.25 * TRAVEL["slow"]
"""How far from its mean place a thing strays at the most that stands still, in widths of the picture."""
LEAST_FIT = 0.75
"""Share of a thing's movement that a motion must account for."""


def find_motion(centre: Points, radius: Points, turns: float) -> tuple[str | None, str | None]:
    """The motion and speed of a thing: places float64[T, 2] in widths of the picture, radii float64[T], whole
    turns over the clip. None where it is like none of MOTIONS.
    """
    seen = np.isfinite(radius)
    progress = np.linspace(0, 1, len(radius))[seen]
    growth = np.polyfit(progress, np.log(radius[seen]), 1)[0]
    if abs(growth) > 0.5 * np.log(GROWTH):
        return ("grow" if growth > 0 else "shrink"), "normal"
    places = centre[seen] - centre[seen].mean(axis=0)
    if np.sqrt((places**2).sum(axis=1).mean()) < STILL:
        if abs(turns) > 0.5 * TURNS["slow"]:
            return "rotate", min(TURNS, key=lambda speed: abs(abs(turns) - TURNS[speed]))
        return "still", "normal"
    fits = {("line", ""): _left_over(places, _line(places, progress))}
    for speed in SPEEDS:
        fits["bounce", speed] = _left_over(places, _bounce(places, speed, len(radius), seen))
        fits["orbit", speed] = _left_over(places, _orbit(places, speed, len(radius), seen))
    motion, speed = min(fits, key=lambda candidate: fits[candidate])
    if fits[motion, speed] > (1 - LEAST_FIT) * (places**2).sum():
        return None, None
    if motion == "line":
        return _direction(np.polyfit(progress, places, 1)[0])
    return motion, speed


def _left_over(places: Points, fitted: Points) -> float:
    return float(((places - fitted) ** 2).sum())


def _line(places: Points, progress: Points) -> Points:
    slope = np.polyfit(progress, places, 1)[0]
    fitted: Points = (progress - progress.mean())[:, None] * slope
    return fitted


def _bounce(places: Points, speed: str, num_frames: int, seen: NDArray[np.bool_]) -> Points:
    """The drawn hops, as high as they fit best."""
    hops = path("bounce", speed, num_frames).offset[seen].astype(np.float64)
    hops -= hops.mean(axis=0)
    fitted: Points = hops * max(float((hops * places).sum() / (hops**2).sum()), 0)
    return fitted


def _orbit(places: Points, speed: str, num_frames: int, seen: NDArray[np.bool_]) -> Points:
    """The drawn rounds, either way, from where and as wide as they fit best."""
    rounds = path("orbit", speed, num_frames).offset[seen].astype(np.float64) @ (1, 1j)
    target = places @ (1, 1j)
    fitted = []
    for way in (rounds, rounds.conj()):
        basis = np.stack([way, np.ones_like(way)], axis=1)
        fitted.append(basis @ np.linalg.lstsq(basis, target, rcond=None)[0])
    best = min(fitted, key=lambda points: float((abs(points - target) ** 2).sum()))
    return np.stack([best.real, best.imag], axis=1)


def _direction(travel: Points) -> tuple[str | None, str | None]:
    """The direction and speed of a way over the whole clip (x, y), in widths of the picture."""
    distance = float(np.linalg.norm(travel))
    direction = max(DIRECTIONS, key=lambda name: float(travel @ DIRECTIONS[name]))
    return direction, min(TRAVEL, key=lambda speed: abs(TRAVEL[speed] - distance))
