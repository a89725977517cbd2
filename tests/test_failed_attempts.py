from services.failed_attempts import FailedAttempts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_begins_at_the_first_failure_and_ends() -> None:
    clock = Clock()
    failures = FailedAttempts(limit=3, window_seconds=60, clock=clock)
    for clock.now in (0.0, 20.0, 40.0):
        assert failures.record("10.0.0.1") is None
    clock.now = 45.0
    assert failures.record("10.0.0.1") == 15.0
    assert failures.record("10.0.0.2") is None
    clock.now = 60.0
    assert failures.record("10.0.0.1") is None


def test_one_client_is_one_address() -> None:
    for first, second, same in [
        ("2001:db8::1", "2001:db8::ffff:1", True),  # one /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("a name", "a name", True),
        ("", "", True),
    ]:
        failures = FailedAttempts(limit=1)
        assert failures.record(first) is None
        assert (failures.record(second) is not None) is same, (first, second)


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    clock = Clock()
    failures = FailedAttempts(limit=1, max_addresses=100, clock=clock)
    for number in range(1000):
        clock.now = number / 1000
        failures.record(f"10.0.{number // 256}.{number % 256}")
    assert len(failures) == 100
    assert failures.record("10.0.3.231") is not None  # the last one
    assert failures.record("10.0.0.0") is None  # long forgotten
    assert len(failures) == 100
