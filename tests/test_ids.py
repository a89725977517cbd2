from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from ulid import ULID

from services.ids import Ulids, new_ulid
from services.job_store import new_job_id


def random_part(ulid: str) -> int:
    return int.from_bytes(ULID.from_str(ulid).bytes[6:], "big")


def test_ids_are_in_order_of_time_also_when_the_clock_is_set_back() -> None:
    times = iter([5, 5, 5, 6, 3, 3, 6, 7])
    ulids = Ulids(lambda: next(times))
    ids = [ulids.new() for _ in range(8)]
    assert ids == sorted(set(ids))
    assert [ULID.from_str(each).milliseconds for each in ids] == [5, 5, 5, 6, 6, 6, 6, 7]


def test_neighbours_do_not_tell_of_each_other() -> None:
    ulids = Ulids(lambda: 1)
    numbers = [random_part(ulids.new()) for _ in range(1000)]
    steps = [after - before for before, after in pairwise(numbers)]
    assert len(set(steps)) == len(steps)
    assert min(steps) > 2**24
    assert sum(step.bit_length() > 56 for step in steps) > 980


def test_a_full_millisecond_flows_over_into_the_next() -> None:
    ulids = Ulids(lambda: 1)
    ulids.new()
    ulids._random = 2**80 - 1
    after = ULID.from_str(ulids.new())
    assert after.milliseconds == 2


def test_no_two_are_alike() -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: new_ulid(), range(20_000)))
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 26 for each in ids)
    assert new_job_id() < new_job_id()
