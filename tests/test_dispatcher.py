"""The dispatcher with the real store, file store and executor; only what the worker computes is scripted."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from models.job import Job, JobStatus
from models.video import Video
from services.catalogue import Catalogue
from services.file_store import FileStore
from services.health import Health
from services.job_store import JobStore
from services.mongo import Database, EmbeddedServer, connect
from tests.dispatching import Service, service_on
from tests.jobs import queued_job
from tests.waiting import eventually


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    async with service_on(JobStore(database), tmp_path / "videos") as service:
        yield service


async def test_a_job_becomes_a_clip(service: Service) -> None:
    job_id = await service.queue("a zyzzyva", steps=5)
    observed: list[Job] = []
    async with service.dispatcher(observed.append):
        job = await service.final(job_id)
    assert job.status is JobStatus.COMPLETED
    assert (job.attempt, job.fence) == (1, 1)
    assert job.video is not None
    assert service.files.video_path(job_id, job.fence).stat().st_size == job.video.size_bytes
    assert service.files.thumbnail_path(job_id, job.fence).exists()
    assert job.timings.queued is not None
    assert job.timings.denoise is not None
    assert job.progress.percent == 100
    assert job.unknown_words == ["zyzzyva"]
    assert job.completed_at is not None
    assert job.expires_at is not None
    assert (job.expires_at - job.completed_at).days in (6, 7)
    assert [record.id for record in observed] == [job_id]


async def test_jobs_run_oldest_first_without_waiting_for_the_poll(service: Service) -> None:
    job_ids = [await service.queue() for _ in range(5)]
    observed: list[Job] = []
    async with service.dispatcher(observed.append, poll_seconds=60):
        await eventually(lambda: len(observed) == 5)
        late = await service.queue()
        await eventually(lambda: len(observed) == 6)
    # Their ends may be recorded in another order: one is stored while the next is made.
    started = {job.id: job.started_at for job in observed}
    assert [started[job_id] for job_id in (*job_ids, late)] == sorted(started.values())


async def test_a_job_queued_by_another_process_is_found(service: Service) -> None:
    async with service.dispatcher():
        job = queued_job()
        await service.store.insert(job)
        assert (await service.final(job.id)).status is JobStatus.COMPLETED


async def test_every_step_is_published_and_some_recorded(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = await service.queue(f"wait {gate}", steps=4)
    with service.hub.subscribe(job_id) as subscription:
        async with service.dispatcher():
            recorded = await service.running(job_id, step=1)
            assert recorded.progress.percent == 25.0
            gate.touch()
            snapshots = []
            while not snapshots or not snapshots[-1].status.is_final:
                snapshot = await subscription.next(timeout=10)
                assert snapshot is not None
                snapshots.append(snapshot)
    steps = [snapshot.progress.step for snapshot in snapshots]
    assert steps == sorted(steps)
    assert set(steps) == {0, 1, 2, 3, 4}
    assert snapshots[-1].status is JobStatus.COMPLETED


@pytest.mark.parametrize("through_this_process", [True, False])
async def test_cancelling_a_running_job_frees_the_same_worker(
    service: Service, through_this_process: bool
) -> None:
    first = await service.queue("pace 0.02", steps=10_000)
    second = await service.queue()
    async with service.dispatcher():
        await service.running(first)
        pid = service.executor.worker_pid
        await service.store.request_cancel(first)
        if through_this_process:
            service.hub.notify_cancel(first)
        assert (await service.final(first, within=3)).status is JobStatus.CANCELLED
        assert (await service.final(second)).status is JobStatus.COMPLETED
        assert service.executor.worker_pid == pid
    assert {file.job_id for file in service.files.stored()} == {second}


async def test_a_worker_that_ignores_cancellation_is_replaced(service: Service) -> None:
    first = await service.queue("hang")
    second = await service.queue()
    async with service.dispatcher():
        await service.running(first)
        await service.store.request_cancel(first)
        service.hub.notify_cancel(first)
        assert (await service.final(first)).status is JobStatus.CANCELLED
        assert (await service.final(second)).status is JobStatus.COMPLETED


async def test_a_lost_worker_costs_an_attempt(service: Service, tmp_path: Path) -> None:
    job_id = await service.queue(f"kill once {tmp_path / 'killed'}")
    async with service.dispatcher():
        job = await service.final(job_id)
    assert job.status is JobStatus.COMPLETED
    assert (job.attempt, job.fence) == (2, 2)


async def test_a_worker_killed_from_outside_costs_an_attempt(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = await service.queue(f"wait {gate}")
    async with service.dispatcher():
        await service.running(job_id)
        assert service.executor.worker_pid is not None
        os.kill(service.executor.worker_pid, signal.SIGKILL)
        gate.touch()
        job = await service.final(job_id)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)


async def test_a_job_that_always_loses_its_worker_fails(service: Service) -> None:
    job_id = await service.queue("exit")
    next_id = await service.queue()
    async with service.dispatcher():
        job = await service.final(job_id)
        assert (await service.final(next_id)).status is JobStatus.COMPLETED
    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    assert job.error is not None
    assert job.error.code == "worker_lost"


async def test_a_job_past_its_time_limit_fails_after_the_last_attempt(service: Service) -> None:
    job_id = await service.queue("pace 0.01", steps=10_000)
    async with service.dispatcher(job_timeout_seconds=0.3):
        job = await service.final(job_id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    assert job.error is not None
    assert job.error.code == "timeout"
    assert "0.3 seconds" in job.error.message


@pytest.mark.parametrize(
    ("prompt", "model", "code"),
    [
        ("refuse out_of_memory", "demo", "out_of_memory"),
        ("bug", "demo", "internal_error"),
        ("garbage", "demo", "encoding_failed"),
        ("at once", "of another service", "model_unavailable"),
    ],
)
async def test_a_failed_job_says_why_and_harms_no_other(
    service: Service, prompt: str, model: str, code: str
) -> None:
    job_id = await service.queue(prompt, model=model)
    next_id = await service.queue()
    async with service.dispatcher():
        job = await service.final(job_id)
        assert (await service.final(next_id)).status is JobStatus.COMPLETED
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert job.error is not None
    assert job.error.code == code
    assert "/" not in job.error.message
    assert {file.job_id for file in service.files.stored()} == {next_id}


async def test_a_clip_without_room_fails_as_storage_full(service: Service, tmp_path: Path) -> None:
    job_id = await service.queue()
    async with service.dispatcher(files=FileStore(tmp_path / "small", 10)):
        job = await service.final(job_id)
    assert job.error is not None
    assert job.error.code == "storage_full"


class CancelledWhilePublishing(FileStore):
    """Somebody cancels the job in the moment its clip is stored."""

    def __init__(self, folder: Path, store: JobStore) -> None:
        super().__init__(folder, 10**8)
        self._store = store
        self._loop = asyncio.get_running_loop()

    def publish(self, job_id: str, fence: int, video: bytes, thumbnail: bytes) -> Video:
        facts = super().publish(job_id, fence, video, thumbnail)
        asyncio.run_coroutine_threadsafe(self._store.request_cancel(job_id), self._loop).result(10)
        return facts


async def test_a_cancellation_that_comes_before_the_record_wins(service: Service, tmp_path: Path) -> None:
    files = CancelledWhilePublishing(tmp_path / "racing", service.store)
    job_id = await service.queue()
    async with service.dispatcher(files=files):
        job = await service.final(job_id)
    assert job.status is JobStatus.CANCELLED
    assert not list(files.stored())


async def test_a_job_left_by_a_dead_dispatcher_is_taken_up(service: Service) -> None:
    job_id = await service.queue()
    assert await service.store.claim("dead", lease_seconds=0.3) is not None
    async with service.dispatcher():
        job = await service.final(job_id)
    assert (job.status, job.attempt, job.fence) == (JobStatus.COMPLETED, 2, 2)


async def test_a_job_left_in_its_last_attempt_fails(service: Service) -> None:
    job_id = await service.queue()
    assert await service.store.claim("dead", lease_seconds=0.1) is not None
    observed: list[Job] = []
    async with service.dispatcher(observed.append, max_attempts=1):
        job = await service.final(job_id)
        await eventually(lambda: observed)
    assert job.error is not None
    assert job.error.code == "worker_lost"


async def test_who_loses_the_lease_stops_and_writes_nothing(service: Service) -> None:
    job_id = await service.queue("pace 0.02", steps=10_000)
    next_id = await service.queue()
    async with service.dispatcher():
        await service.running(job_id)
        assert await service.store.release(await service.get(job_id), keep_attempt=True) is not None
        other = await service.store.claim("another", lease_seconds=60)
        assert other is not None
        assert other.id == job_id
        # The slot is free again only once the lost generation has stopped.
        assert (await service.final(next_id)).status is JobStatus.COMPLETED
    job = await service.get(job_id)
    assert job.lease == other.lease
    assert job.progress.step == 0


async def test_the_lease_is_kept_while_a_job_runs(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = await service.queue(f"wait {gate}")
    async with service.dispatcher(lease_seconds=0.5):
        first = await service.running(job_id)
        assert first.lease is not None
        ends = first.lease.expires_at
        later = await service.until(job_id, lambda job: job.lease is not None and job.lease.expires_at > ends)
        assert later.fence == 1
        gate.touch()
        assert (await service.final(job_id)).attempt == 1


async def test_draining_lets_the_running_job_finish_and_claims_no_other(
    service: Service, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    running, waiting = await service.queue(f"wait {gate}"), await service.queue()
    async with service.dispatcher() as dispatcher:
        await service.running(running)
        draining = asyncio.create_task(dispatcher.drain(grace_seconds=30))
        await asyncio.sleep(0)
        gate.touch()
        await draining
    assert (await service.get(running)).status is JobStatus.COMPLETED
    assert (await service.get(waiting)).status is JobStatus.QUEUED


@pytest.mark.parametrize("prompt", ["pace 0.02", "hang"])
async def test_a_job_that_outlasts_the_grace_goes_back_as_it_was(service: Service, prompt: str) -> None:
    job_id = await service.queue(prompt, steps=10_000)
    async with service.dispatcher(shutdown_grace_seconds=0.1):
        await service.running(job_id)
    job = await service.get(job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    assert job.lease is None


async def test_models_are_loaded_ahead_and_unloaded_when_idle(service: Service) -> None:
    async with service.dispatcher(preload=True, idle_unload_seconds=0.3):
        await eventually(lambda: service.executor.loaded_models == ("demo",))
        await eventually(lambda: service.executor.loaded_models == ())
        assert (await service.final(await service.queue())).status is JobStatus.COMPLETED


async def test_a_service_that_nobody_asked_is_ready_though_its_first_worker_died(service: Service) -> None:
    async with service.dispatcher(preload=True) as dispatcher:
        await eventually(lambda: dispatcher.preloaded)
        first = service.executor.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: service.executor.worker_pid not in (None, first))
        health = Health(service.store, service.executor, dispatcher, service.catalogue.default_entry)
        await eventually(lambda: service.executor.healthy)
        assert service.executor.loaded_models == ()
        assert await health.checks() == {"database": "ok", "worker": "ok", "model": "ok"}


async def test_a_model_that_cannot_be_loaded_ahead_stops_nothing(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    demo = service.catalogue.get("demo")
    assert demo is not None
    service.catalogue = Catalogue({"demo": demo, "missing": replace(demo, name="missing")}, default="missing")
    with caplog.at_level(logging.ERROR):
        async with service.dispatcher(preload=True):
            lost = await service.final(await service.queue(model="missing"))
            assert (await service.final(await service.queue())).status is JobStatus.COMPLETED
    assert lost.error is not None
    assert lost.error.code == "model_unavailable"
    assert "model missing cannot be loaded ahead of its first job: the checkpoint is missing" in caplog.text


class Cable:
    """A TCP connection to the database that can be cut and mended."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._pumps:
            await asyncio.wait(self._pumps)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            return
        finally:
            sink.close()
            self._writers.discard(sink)


async def test_a_job_that_ends_while_the_database_is_away_is_recorded_afterwards(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedServer(tmp_path / "data"))
        cable = Cable(int(server.uri.rpartition(":")[2]))
        await cable.mend()
        stack.push_async_callback(cable.cut)
        near = await stack.enter_async_context(connect(server.uri, "outage"))
        far = await stack.enter_async_context(connect(f"mongodb://127.0.0.1:{cable.port}", "outage"))
        far = replace(far, is_embedded=True)
        service = await stack.enter_async_context(service_on(JobStore(far), tmp_path / "videos"))
        await stack.enter_async_context(service.dispatcher(lease_seconds=1.0))
        unharmed = JobStore(near)
        job_id = await service.queue(f"wait {gate}")
        next_id = await service.queue()
        await service.running(job_id)
        with service.hub.subscribe(job_id) as subscription:
            await cable.cut()
            gate.touch()
            while (
                snapshot := await subscription.next(timeout=10)
            ) is not None and snapshot.progress.step < 3:
                pass
        # Its lease runs out meanwhile; nobody else is there to take it.
        await eventually(unharmed.stalled)
        await cable.mend()
        service.store = unharmed
        job = await service.final(job_id)
        assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
        assert (await service.final(next_id)).status is JobStatus.COMPLETED
