"""The executor with a real worker process that is killed, exits, hangs and is outlived by its parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.video import VideoParams
from services.catalogue import Catalogue
from services.catalogue_entry import REPOSITORY_ROOT, CatalogueEntry
from services.execution.executor import ExecutionFailed, WorkerLost, WorkerUnavailable
from services.execution.local import LocalExecutor
from services.execution.messages import GenerationRequest, GeneratorConfig, News, Progress
from services.file_store import probe
from tests.generators import BROKEN, EXITING, SCRIPTED
from tests.waiting import eventually


def model(name: str = "demo") -> CatalogueEntry:
    entry = Catalogue.create("demo").get("demo")
    assert entry is not None
    return replace(entry, name=name)


def request(prompt: str, job_id: str = "video_1", steps: int = 3) -> GenerationRequest:
    params = VideoParams(
        prompt=prompt,
        negative_prompt="",
        width=64,
        height=64,
        num_frames=4,
        fps=8,
        num_inference_steps=steps,
        guidance_scale=1.0,
        scheduler="ddim",
        seed=1,
    )
    return GenerationRequest(job_id=job_id, model=model(), params=params)


def ignore(news: News) -> None:
    pass


class Steps(list[Progress]):
    """Collects progress and tells when some has come."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = asyncio.Event()

    def __call__(self, news: News) -> None:
        if isinstance(news, Progress):
            self.append(news)
            self.seen.set()


@pytest.fixture
async def executor() -> AsyncIterator[LocalExecutor]:
    async with LocalExecutor(SCRIPTED, GeneratorConfig(device="cpu"), cancel_grace_seconds=0.5) as executor:
        yield executor


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which only waits to be reaped, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_clip_comes_with_every_step_told(executor: LocalExecutor) -> None:
    steps = Steps()
    completed = await executor.run(request("at once", steps=5), steps)
    assert [progress.step for progress in steps] == [0, 1, 2, 3, 4, 5]
    assert {progress.total for progress in steps} == {5}
    assert probe(completed.video).num_frames == 4
    assert completed.timings.denoise is not None
    assert executor.device == "scripted on cpu"
    assert executor.loaded_models == ("demo",)
    assert executor.healthy


async def test_loading_and_unloading(executor: LocalExecutor) -> None:
    assert executor.device == "starting"
    assert not executor.healthy
    await executor.load(model("first"))
    await executor.load(model("second"))
    assert executor.loaded_models == ("first", "second")
    await executor.unload()
    assert executor.loaded_models == ()


async def test_a_model_that_cannot_be_loaded_leaves_the_worker_running(executor: LocalExecutor) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        await executor.load(model("missing"))
    assert caught.value.code == "model_unavailable"
    pid = executor.worker_pid
    await executor.run(request("at once"), ignore)
    assert executor.worker_pid == pid


async def test_a_failure_names_no_folder(executor: LocalExecutor) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        await executor.run(request("refuse model_unavailable no /home/somebody/demo/unet.json here"), ignore)
    assert caught.value.message == "no unet.json here"


@pytest.mark.parametrize(
    ("prompt", "code"), [("refuse out_of_memory", "out_of_memory"), ("bug", "internal_error")]
)
async def test_a_failed_job_leaves_the_worker_running(
    executor: LocalExecutor, prompt: str, code: str
) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        await executor.run(request(prompt), ignore)
    assert caught.value.code == code
    assert "/" not in caught.value.message
    pid = executor.worker_pid
    await executor.run(request("at once"), ignore)
    assert executor.worker_pid == pid


async def test_cancel_returns_the_same_worker_within_a_step(executor: LocalExecutor) -> None:
    steps = Steps()
    running = asyncio.create_task(executor.run(request("pace 0.05", steps=1000), steps))
    await steps.seen.wait()
    pid = executor.worker_pid
    running.cancel()
    told = len(steps)
    await asyncio.wait({running})
    assert running.cancelled()
    assert len(steps) <= told + 2
    await executor.run(request("at once"), ignore)
    assert executor.worker_pid == pid


async def test_a_cancel_that_comes_late_does_not_hit_the_next_attempt(executor: LocalExecutor) -> None:
    await executor.load(model())
    for _ in range(20):
        running = asyncio.create_task(executor.run(request("at once"), ignore))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})
        await executor.run(request("at once"), ignore)


async def test_a_hung_worker_is_killed_and_replaced(executor: LocalExecutor) -> None:
    steps = Steps()
    running = asyncio.create_task(executor.run(request("hang"), steps))
    await eventually(lambda: len(steps) == 2)
    pid = executor.worker_pid
    assert pid is not None
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert not alive(pid)
    assert executor.healthy
    await executor.run(request("at once"), ignore)
    assert executor.worker_pid != pid


@pytest.mark.parametrize(("prompt", "how"), [("exit", "exit status 7"), ("kill", "signal SIGKILL")])
async def test_a_dying_worker_is_replaced(executor: LocalExecutor, prompt: str, how: str) -> None:
    with pytest.raises(WorkerLost, match=how):
        await executor.run(request(prompt), ignore)
    await executor.run(request("at once"), ignore)
    assert executor.healthy


async def test_an_idle_worker_that_is_killed_is_replaced(executor: LocalExecutor) -> None:
    await executor.run(request("at once"), ignore)
    pid = executor.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: executor.worker_pid not in (None, pid))
    await executor.run(request("at once"), ignore)


async def test_two_requests_take_turns(executor: LocalExecutor, tmp_path: Path) -> None:
    gate, first_steps, second_steps = tmp_path / "gate", Steps(), Steps()
    first = asyncio.create_task(executor.run(request(f"wait {gate}", "video_1"), first_steps))
    await first_steps.seen.wait()
    second = asyncio.create_task(executor.run(request("at once", "video_2"), second_steps))
    await asyncio.sleep(0)
    assert not second_steps
    gate.touch()
    assert (await first).job_id == "video_1"
    assert (await second).job_id == "video_2"
    assert {progress.job_id for progress in second_steps} == {"video_2"}


async def test_a_worker_that_cannot_start_is_tried_again_and_told() -> None:
    executor = LocalExecutor(
        BROKEN, GeneratorConfig(), start_timeout_seconds=2, first_backoff_seconds=0.05, cancel_grace_seconds=1
    )
    async with executor:
        with pytest.raises(WorkerUnavailable):
            await executor.run(request("at once"), ignore)
        assert not executor.healthy


async def test_a_worker_starts_once_what_it_lacked_is_there(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    config = GeneratorConfig(cache_dir=str(checkpoint))
    async with LocalExecutor(EXITING, config, first_backoff_seconds=0.05) as executor:
        first = await eventually(lambda: executor.worker_pid)
        await eventually(lambda: executor.worker_pid not in (None, first))
        assert not executor.healthy
        checkpoint.touch()
        await executor.run(request("at once"), ignore)
        assert executor.healthy


async def test_closing_ends_the_worker_politely() -> None:
    async with LocalExecutor(SCRIPTED, GeneratorConfig()) as executor:
        await executor.run(request("at once"), ignore)
        pid = executor.worker_pid
        assert pid is not None
        assert alive(pid)
    assert not alive(pid)
    with pytest.raises(ProcessLookupError):  # reaped: not even a zombie is left
        os.kill(pid, 0)


async def test_ctrl_c_and_sigterm_are_left_to_the_service(executor: LocalExecutor) -> None:
    steps = Steps()
    running = asyncio.create_task(executor.run(request("pace 0.02", steps=10), steps))
    await steps.seen.wait()
    assert executor.worker_pid is not None
    os.kill(executor.worker_pid, signal.SIGINT)
    os.kill(executor.worker_pid, signal.SIGTERM)
    assert (await running).job_id == "video_1"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("prompt", ["hang", "pace 0.05"])
async def test_a_worker_dies_with_its_parent(prompt: str) -> None:
    script = f"""
import asyncio
from services.execution.local import LocalExecutor
from services.execution.messages import GeneratorConfig
from tests.test_local_executor import request
async def main():
    async with LocalExecutor("{SCRIPTED}", GeneratorConfig()) as executor:
        await executor.run(
            request("{prompt}", steps=100000),
            lambda news: print(executor.worker_pid, flush=True) if getattr(news, "step", 0) == 1 else None,
        )
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())
    assert alive(worker)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not alive(worker), timeout=5)


def test_the_service_side_loads_no_torch() -> None:
    script = "import sys, services.execution.local, services.dispatcher; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY_ROOT, check=True)
