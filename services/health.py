"""Whether the service can do its work now."""

from services.catalogue_entry import CatalogueEntry
from services.dispatcher import Dispatcher
from services.errors import ServiceError
from services.execution.executor import Executor
from services.job_store import JobStore

OK = "ok"


class Health:
    """What readiness looks at.

    Args:
        executor, dispatcher: None in a process that only serves the API.
        preloaded: The model that is loaded at start, or None when models load at their first job.
    """

    def __init__(
        self,
        store: JobStore,
        executor: Executor | None,
        dispatcher: Dispatcher | None,
        preloaded: CatalogueEntry | None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._dispatcher = dispatcher
        self._awaited = preloaded

    @property
    def loaded_models(self) -> tuple[str, ...]:
        return self._executor.loaded_models if self._executor is not None else ()

    async def checks(self) -> dict[str, str]:
        """``ok`` or what is wrong, for each part that this process needs."""
        checks = {"database": await self._database()}
        if self._executor is not None:
            checks["worker"] = OK if self._executor.healthy else "not running"
            checks["model"] = self._model()
        return checks

    async def _database(self) -> str:
        try:
            await self._store.ping()
        except ServiceError as error:
            return error.message
        return OK

    def _model(self) -> str:
        """Waits for the first load alone: a model that makes room for another one later is fine."""
        if self._awaited is None or self._dispatcher is None:
            return OK
        if self._dispatcher.preloaded or self._awaited.name in self.loaded_models:
            self._awaited = None
            return OK
        return self._dispatcher.preload_error or f"{self._awaited.name} is not loaded yet"
