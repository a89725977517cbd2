"""Threads for the cores that a process may use."""

import os

import pytest
import torch

from services.generation import threads
from services.generation.threads import cores, fit_threads, quotas


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_quotas_of_a_group_and_those_above_it(tmp_path):
    groups, own = tmp_path / "groups", tmp_path / "own"
    (groups / "service" / "worker").mkdir(parents=True)
    own.write_text("1:cpu:/elsewhere\n0::/service/worker\n")
    assert list(quotas(groups, own)) == []
    (groups / "service" / "worker" / "cpu.max").write_text("max 100000\n")
    (groups / "service" / "cpu.max").write_text("150000 100000\n")
    (groups / "cpu.max").write_text("400000 100000\n")
    (tmp_path / "cpu.max").write_text("1 100000\n")
    assert list(quotas(groups, own)) == [1.5, 4.0]
    assert list(quotas(groups, tmp_path / "nothing")) == []


def test_a_container_sees_its_own_group_as_the_root(tmp_path):
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert list(quotas(tmp_path, tmp_path / "own")) == [2.0]


def test_no_more_cores_than_the_process_may_use():
    assert 0 < cores() <= (os.cpu_count() or 1)


@pytest.mark.usefixtures("torch_threads")
@pytest.mark.parametrize(("may_use", "expected"), [(0.5, 1), (1.5, 2), (64.0, 3)])
def test_threads_fit_the_cores(monkeypatch, may_use, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: may_use)
    torch.set_num_threads(3)
    assert fit_threads() == expected


@pytest.mark.usefixtures("torch_threads")
def test_a_number_that_was_set_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "cores", lambda: 1.0)
    torch.set_num_threads(3)
    assert fit_threads() == 3
