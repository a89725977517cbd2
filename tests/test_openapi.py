"""The OpenAPI document against the running service: no server error, no answer that is not documented."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.api_keys import digest_of, new_configured_key
from services.failed_attempts import FailedAttempts
from tests.live_api import LiveApi, live_api

EXAMPLES = 25


def check_operation(operation: schemathesis.APIOperation, mode: GenerationMode, ids: list[str]) -> None:
    """Send generated requests, ids of real jobs in the place of generated ones, which nobody would guess."""

    # Each model has limits of its own, which the document cannot say: what it allows may still be refused.
    excluded = [positive_data_acceptance]

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.sampled_from([None, *ids]))
    def check(case: schemathesis.Case, known: str | None) -> None:
        if known is not None and mode is GenerationMode.POSITIVE and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = known
        case.call_and_validate(excluded_checks=excluded, timeout=20)

    check()


def modes_of(operation: schemathesis.APIOperation) -> list[GenerationMode]:
    """Without parameters, or with a path alone, which may be any text, no request breaks the schema."""
    if operation.query or operation.headers or operation.body:
        return list(GenerationMode)
    return [GenerationMode.POSITIVE]


async def make_jobs(api: LiveApi) -> list[str]:
    """Ids of a completed job, a failed one and one whose file has expired."""
    completed = (await api.finished(seed=1))["id"]
    failed = (await api.until((await api.create("refuse out_of_memory"))["id"], "failed"))["id"]
    expired = (await api.finished(seed=2))["id"]
    record = await api.state["store"].get(expired)
    assert record is not None
    await api.state["store"].mark_file_expired(record)
    return [completed, failed, expired]


async def test_no_answer_is_undocumented(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        schema = await asyncio.to_thread(
            schemathesis.openapi.from_url, str(api.client.base_url.join("/openapi.json"))
        )
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) == 30
        ids = await make_jobs(api)
        for operation in operations:
            for mode in modes_of(operation):
                await asyncio.to_thread(check_operation, operation, mode, ids)
            if operation.method == "delete":
                ids = await make_jobs(api)


async def test_chains_of_calls_keep_to_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one call made, the next ones use; behind keys. ``make fuzz`` is the long form."""
    # The checks try more wrong keys in a minute than one address may.
    monkeypatch.setattr("app.lifespan.FailedAttempts", partial(FailedAttempts, limit=10**9))
    key = new_configured_key()
    async with live_api(tmp_path, api_keys=f"fuzzer:{digest_of(key)}") as api:
        schema = await asyncio.to_thread(
            schemathesis.openapi.from_url, str(api.client.base_url.join("/openapi.json"))
        )
        api.client.headers["Authorization"] = f"Bearer {key}"
        for word in ("one", "two"):
            await api.finished(word)
        answers: Counter[str] = Counter()
        schema.config.generation.update(modes=[GenerationMode.POSITIVE])
        jobs = schema.include(path_regex=r"^/(videos|jobs)")

        class Chains(jobs.as_state_machine()):  # type: ignore[misc]
            def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
                return {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 20}

            def validate_response(
                self, response: schemathesis.Response, case: schemathesis.Case, **kwargs: Any
            ) -> None:
                answers[f"{case.operation.label} {response.status_code}"] += 1
                case.validate_response(
                    response,
                    excluded_checks=[positive_data_acceptance],
                    additional_checks=kwargs.pop("additional_checks", None),
                    transport_kwargs=kwargs,
                )

        await asyncio.to_thread(
            Chains.run,
            settings=settings(
                max_examples=15,
                stateful_step_count=6,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert any("{id} 2" in label for label in answers), "some call was about a job of an earlier answer"
