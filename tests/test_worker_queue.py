"""Several jobs in one real worker: waiting, made together, encoded side by side, lost together."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.execution.executor import ExecutionFailed, WorkerLost, WorkerUnavailable
from services.execution.local import LocalExecutor
from services.execution.messages import Completed, DeviceDone, GeneratorConfig, News, Started
from tests.generators import SCRIPTED
from tests.test_local_executor import ignore, request
from tests.waiting import eventually


@pytest.fixture
async def executor() -> AsyncIterator[LocalExecutor]:
    config = GeneratorConfig(device="cpu", max_batch=3)
    async with LocalExecutor(SCRIPTED, config, cancel_grace_seconds=30) as executor:
        yield executor


def run(
    executor: LocalExecutor, prompt: str, job_id: str, news: list[News] | None = None, **fields: object
) -> asyncio.Task[Completed]:
    wanted = replace(request(prompt, job_id), **fields)  # type: ignore[arg-type]
    return asyncio.create_task(executor.run(wanted, ignore if news is None else news.append))


def kinds(news: list[News]) -> list[type]:
    return [type(each) for each in news]


async def test_a_job_that_waits_is_taken_back_without_harm(executor: LocalExecutor, tmp_path: Path) -> None:
    gate, news = tmp_path / "gate", list[News]()
    first_news = list[News]()
    first = run(executor, f"wait {gate}", "video_1", first_news)
    await eventually(lambda: Started("video_1") in first_news)
    second = run(executor, "at once", "video_2", news)
    third = run(executor, "at once", "video_3")
    await eventually(lambda: len(executor._pending) == 3)
    pid = executor.worker_pid
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    assert news == []
    gate.touch()
    assert (await first).job_id == "video_1"
    assert (await third).job_id == "video_3"
    assert executor.worker_pid == pid


async def test_what_a_dying_worker_had_not_taken_up_was_not_attempted(executor: LocalExecutor) -> None:
    await executor.load(request("at once").model)
    first, second = run(executor, "kill", "video_1"), run(executor, "at once", "video_2")
    with pytest.raises(WorkerUnavailable):
        await second
    with pytest.raises(WorkerLost, match="SIGKILL") as lost:
        await first
    assert not isinstance(lost.value, WorkerUnavailable)


async def test_the_next_job_runs_while_one_is_encoded(executor: LocalExecutor, tmp_path: Path) -> None:
    gate, news = tmp_path / "gate", list[News]()
    first = run(executor, f"encode {gate}", "video_1", news)
    second = run(executor, f"encode {gate}", "video_2")
    assert (await run(executor, "at once", "video_3")).job_id == "video_3"
    assert news[0] == Started("video_1")
    assert news[-1] == DeviceDone("video_1", fits=3)
    assert not first.done()
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    gate.touch()
    assert (await first).job_id == "video_1"


async def test_companions_are_made_together(executor: LocalExecutor) -> None:
    await executor.load(request("at once").model)
    pid = executor.worker_pid
    batch = [
        run(executor, prompt, f"video_{number}", companions=3 - number)
        for number, prompt in enumerate(("pace 0.02", "at once zyzzyva", "refuse invalid_output"), start=1)
    ]
    first = await batch[0]
    assert first.dropped_text == "3 together"
    second = await batch[1]
    assert (second.dropped_text, second.unknown_words) == ("3 together", ("zyzzyva",))
    with pytest.raises(ExecutionFailed) as failure:
        await batch[2]
    assert failure.value.code == "invalid_output"
    assert executor.worker_pid == pid


async def test_one_that_is_cancelled_leaves_its_companions(executor: LocalExecutor) -> None:
    await executor.load(request("at once").model)
    pid, news = executor.worker_pid, list[News]()
    first = run(executor, "pace 0.1", "video_1", companions=1)
    second = run(executor, "pace 0.1", "video_2", news)
    await eventually(lambda: len(news) > 1)
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    assert DeviceDone not in kinds(news)
    assert (await first).dropped_text == "2 together"
    assert executor.worker_pid == pid


async def test_a_companion_that_does_not_come_is_not_waited_for(executor: LocalExecutor) -> None:
    assert (await run(executor, "at once", "video_1", companions=2)).dropped_text is None
    other = replace(request("at once", "video_3", steps=5))
    first = run(executor, "at once", "video_2", companions=1)
    second = asyncio.create_task(executor.run(other, ignore))
    assert ((await first).dropped_text, (await second).dropped_text) == (None, None)


async def test_nothing_runs_beside_a_job_that_is_to_be_alone(executor: LocalExecutor, tmp_path: Path) -> None:
    gate, news = tmp_path / "gate", list[News]()
    first_news = list[News]()
    first = run(executor, f"encode {gate}", "video_1", first_news)
    await eventually(lambda: first_news and isinstance(first_news[-1], DeviceDone))
    pid = executor.worker_pid
    alone = run(executor, "at once", "video_2", news, alone=True)
    await eventually(lambda: len(executor._pending) == 2)
    alone.cancel()
    await asyncio.wait({alone})
    # The worker answered, and so had seen it: it waited for the encoding to end.
    assert alone.cancelled()
    assert news == []
    assert executor.worker_pid == pid
    again = run(executor, f"encode {gate}", "video_2", alone=True)
    late = run(executor, "at once", "video_3", news)
    gate.touch()
    for each in (first, again, late):
        await each
