"""Opens everything in order, hands it on as typed state, and closes it in the opposite order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypedDict

from app.settings import Settings
from authentication import Authenticator, Credentials
from models.job import Job
from services.api_key_store import ApiKeyStore
from services.api_keys import ApiKeyService
from services.catalogue import Catalogue
from services.database_presence import DatabasePresence
from services.device_probe import has_cuda
from services.dispatcher import Dispatcher, DispatcherOptions
from services.estimates import Estimator
from services.events import EventHub
from services.execution.executor import Executor
from services.execution.local import LocalExecutor
from services.execution.messages import GeneratorConfig
from services.failed_attempts import FailedAttempts
from services.file_store import FileStore
from services.health import Health
from services.holder_lock import HolderLock
from services.janitor import Janitor, JanitorOptions
from services.job_store import JobStore
from services.links import LinkSigner, load_signing_key
from services.metrics import Metrics
from services.mongo import Database, open_database
from services.open_answers import OpenAnswers
from services.presenting import Presenter
from services.rate_limits import RateLimits, open_rate_limits
from services.spritesheets import Spritesheets
from services.store_binding import StoreBinding
from services.videos import VideoService
from services.watching import Watcher
from services.webhook_deliverer import WebhookDeliverer, open_deliverer
from services.webhook_signing import parse_secrets
from services.webhook_transitions import RetrySchedule
from services.webhooks import WebhookOptions, Webhooks

GENERATOR = "services.generation.generator:Generator"
_DATABASE_SECONDS = 5.0
"""How long a start waits for the database."""


class State(TypedDict):
    """What requests find in ``request.state``.

    ``closing`` is set when the service begins to stop: open event streams and held answers end then.
    ``hurry`` is set when running jobs are not to be waited for: they go back to the queue.
    """

    settings: Settings
    database: Database
    presence: DatabasePresence
    store: JobStore
    hub: EventHub
    catalogue: Catalogue
    files: FileStore
    spritesheets: Spritesheets
    videos: VideoService
    webhooks: Webhooks
    presenter: Presenter
    watcher: Watcher
    health: Health
    metrics: Metrics
    links: LinkSigner
    api_keys: ApiKeyService
    authenticator: Authenticator
    rate_limits: RateLimits
    open_answers: OpenAnswers
    closing: asyncio.Event
    hurry: asyncio.Event


@asynccontextmanager
async def open_services(
    settings: Settings, credentials: Credentials, generator: str = GENERATOR
) -> AsyncIterator[State]:
    """Database, stores, and in the roles that run jobs the worker and the dispatcher.

    ``generator`` is the ``package.module:Class`` that the worker imports.

    Leaving lets running jobs finish for ``shutdown_grace_seconds``, then gives them back to the queue.
    """
    closing, hurry = asyncio.Event(), asyncio.Event()
    mongo = credentials.mongo.get_secret_value() if credentials.mongo else None
    catalogue = Catalogue.create(chosen_model(settings)).with_aliases(settings.aliases)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(mongo, settings.database, settings.data_dir))
        presence = DatabasePresence(database)
        await presence.wait(_DATABASE_SECONDS)
        store = JobStore(database)
        await store.create_indexes()
        rate_limits = await stack.enter_async_context(
            open_rate_limits(settings.rate_limit, mongo, settings.database)
        )
        files = await asyncio.to_thread(
            FileStore, settings.data_dir / "videos", settings.video_budget_mb * 10**6
        )
        api_keys = ApiKeyService(ApiKeyStore(database), enabled=settings.keys.required)
        hub = EventHub()
        metrics = Metrics(lambda: store.count_queued(limit=settings.max_queued))
        webhook_options = _webhook_options(settings)
        deliverer: WebhookDeliverer | None = None
        executor: Executor | None = None
        dispatcher: Dispatcher | None = None

        def observe(job: Job) -> None:
            metrics.observe_job(job)
            if deliverer is not None:
                deliverer.on_job(job)

        if settings.role != "api":
            deliverer = await stack.enter_async_context(
                open_deliverer(store, webhook_options, metrics.observe_webhook)
            )
            holders = stack.enter_context(HolderLock(settings.data_dir))
            executor = await stack.enter_async_context(_executor(settings, credentials, generator))
            options = _dispatcher_options(settings, holders.name)
            dispatcher = await stack.enter_async_context(
                Dispatcher(store, files, executor, hub, catalogue, options, observe, holders)
            )
            binding = StoreBinding(database, files, settings.data_dir / "videos")
            await stack.enter_async_context(Janitor(store, files, _janitor_options(settings), binding))
            stack.push_async_callback(_drain, dispatcher, settings.shutdown_grace_seconds, hurry)
        webhooks = Webhooks(store, webhook_options, deliverer.wake if deliverer else lambda: None)
        preloaded = catalogue.default_entry if settings.preload else None
        yield State(
            settings=settings,
            database=database,
            presence=presence,
            store=store,
            hub=hub,
            catalogue=catalogue,
            files=files,
            spritesheets=Spritesheets(files),
            videos=VideoService(
                store,
                files,
                hub,
                catalogue,
                webhooks,
                max_queued=settings.max_queued,
                max_queued_per_owner=settings.max_queued_per_owner,
                observer=observe,
            ),
            webhooks=webhooks,
            presenter=Presenter(Estimator(store, settings.max_queued)),
            watcher=Watcher(store, hub, closing),
            health=Health(store, executor, dispatcher, preloaded),
            metrics=metrics,
            links=LinkSigner(await asyncio.to_thread(_signing_key, settings)),
            api_keys=api_keys,
            rate_limits=rate_limits,
            open_answers=OpenAnswers(settings.max_streams_per_owner),
            authenticator=Authenticator(settings.keys, api_keys, FailedAttempts()),
            closing=closing,
            hurry=hurry,
        )


def chosen_model(settings: Settings) -> str:
    """``auto`` takes the reference model where CUDA is, else the small one that runs anywhere."""
    if settings.model != "auto":
        return settings.model
    return "text-to-video-ms-1.7b" if has_cuda(settings.device) else "demo"


def _executor(settings: Settings, credentials: Credentials, generator: str) -> LocalExecutor:
    config = GeneratorConfig(
        device=settings.device,
        dtype=settings.dtype,
        offload=settings.offload,
        vae_slicing=settings.vae_slicing,
        cache_dir=str(settings.checkpoint_cache) if settings.checkpoint_cache else None,
        local_files_only=settings.offline,
        embed_metadata=settings.embed_metadata,
        max_batch=None if settings.max_batch == "auto" else int(settings.max_batch),
        compile=settings.compile,
        compile_dir=str(settings.data_dir.absolute() / "compiled"),
        token=credentials.auth.get_secret_value() if credentials.auth else None,
    )
    return LocalExecutor(generator, config, cancel_grace_seconds=settings.cancel_grace_seconds)


def _dispatcher_options(settings: Settings, worker: str) -> DispatcherOptions:
    return DispatcherOptions(
        worker=worker,
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
        max_attempts=settings.max_attempts,
        job_timeout_seconds=settings.job_timeout_seconds,
        video_ttl=timedelta(hours=settings.video_ttl_hours),
        shutdown_grace_seconds=settings.shutdown_grace_seconds,
        idle_unload_seconds=settings.idle_unload_seconds,
        preload=settings.preload,
    )


def _janitor_options(settings: Settings) -> JanitorOptions:
    return JanitorOptions(
        history_age=timedelta(days=settings.history_days) if settings.history_days else None,
        history_max=settings.history_max or None,
    )


def _webhook_options(settings: Settings) -> WebhookOptions:
    return WebhookOptions(
        secrets=parse_secrets(settings.webhook_secret.get_secret_value()),
        service_url=settings.webhook_url.get_secret_value() or None,
        policy=settings.webhook_addresses,
        timeout_seconds=settings.webhook_timeout_seconds,
        schedule=RetrySchedule(window=timedelta(hours=settings.webhook_retry_hours)),
        poll_seconds=settings.poll_seconds,
    )


async def _drain(dispatcher: Dispatcher, grace_seconds: float, hurry: asyncio.Event) -> None:
    draining = asyncio.create_task(dispatcher.drain(grace_seconds))
    hurried = asyncio.create_task(hurry.wait())
    try:
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        await dispatcher.drain(0)
    finally:
        draining.cancel()
        hurried.cancel()


def _signing_key(settings: Settings) -> bytes:
    if settings.signing_key is not None:
        return settings.signing_key.get_secret_value().encode()
    return load_signing_key(settings.data_dir)
