"""The benchmark of what lies between two jobs runs, and says what it is to say."""

import pytest

from benchmarks import queue_gap


def test_both_ways_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    queue_gap.main(["--clips", "2", "--rounds", "1", "--steps", "1", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "demo: 1 rounds of 2 clips each way"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    assert rows[0] == ["way", "gap ms", "at most", "clips a minute", "device busy %", "progress and cancel %"]
    assert [row[0] for row in rows[2:]] == ["one by one", "ahead"]
    for row in rows[2:]:
        gap, longest, clips, busy, told = map(float, row[1:])
        assert 0 <= gap <= longest
        assert clips > 0
        assert 0 < busy <= 100
        assert 0 <= told < 100


def test_a_gap_needs_two_clips(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        queue_gap.main(["--clips", "1"])
    assert "at least 2" in capsys.readouterr().err
