"""Where a job stands in the queue: by priority, then fair between owners, then by age.

Within a priority this is self-clocked fair queueing (S. J. Golestani, INFOCOM 1994; after A. Demers,
S. Keshav and S. Shenker, SIGCOMM 1989) with jobs of equal length: a new job's turn is

    turn = max(turn of the job claimed last, greatest turn of its owner's waiting jobs) + 1

and the smallest turn is claimed first. Of equal turns that of an owner who has nothing else waiting or
running goes before the others, and then the older. Each owner has one waiting job for each turn, so that a
single job waits for at most one job of each other owner, the one that runs included. Where jobs are made in
batches, which hold none but the next of the line, it is the batch that runs.

What is stored with a waiting job:

- ``place``: priority, turn and id as one string. Its order is the queue's, so that one index gives the next
  jobs and one comparison those ahead.
- ``seat``: owner, priority and turn. It is unique, so that creators in several processes cannot give one
  owner two jobs of the same turn. It is left when the job leaves the queue, and not taken again.
"""

import hashlib

from models.video import MAX_PRIORITY

_TURN_DIGITS = 12


def place(job_id: str, *, priority: int, turn: int, is_first: bool) -> str:
    """Where the job waits; smaller goes before. ``is_first``: its owner had nothing else."""
    return f"{_rank(priority)}_{turn:0{_TURN_DIGITS}}_{'0' if is_first else '1'}_{job_id}"


def seat(owner: str, *, priority: int, turn: int) -> str:
    return f"{seats_of(owner, priority)}{turn:0{_TURN_DIGITS}}"


def seats_of(owner: str, priority: int) -> str:
    """What the seats of an owner's jobs of this priority begin with, and no others."""
    digest = hashlib.sha256(owner.encode()).hexdigest()
    return f"seat_{digest}_{_rank(priority)}_"


def turn_of(seat: str) -> int:
    return int(seat.rpartition("_")[2])


def clock_id(priority: int) -> str:
    """The id of the record that holds the turn claimed last."""
    return f"clock_{_rank(priority)}"


def _rank(priority: int) -> int:
    """0 for the highest priority, so that digits sort."""
    return MAX_PRIORITY - priority
