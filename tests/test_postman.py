"""The Postman collection: it has every call of the service, and newman runs all of it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client_service import ClientService
from tests.running_service import REPOSITORY_ROOT, running_service

FOLDER = REPOSITORY_ROOT / "clients" / "postman"
COLLECTION = FOLDER / "text-to-video.postman_collection.json"
ENVIRONMENT = FOLDER / "local.postman_environment.json"
INSTALLED = REPOSITORY_ROOT / "tests" / "npm" / "node_modules" / ".bin" / "newman"
NEWMAN = str(INSTALLED) if INSTALLED.exists() else shutil.which("newman")


def requests(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        if "item" in item:
            yield from requests(item["item"])
        else:
            yield item


def calls(collection: dict[str, Any]) -> set[tuple[str, str]]:
    """Methods and paths, with ``{}`` for what varies."""
    return {
        (item["request"]["method"], re.sub(r"{{\w+}}", "{}", "/" + "/".join(item["request"]["url"]["path"])))
        for item in requests(collection["item"])
        if isinstance(item["request"]["url"], dict)
    }


def test_it_has_every_call(client_service: ClientService) -> None:
    document = client_service.service.client.get("/openapi.json").json()
    served = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert calls(json.loads(COLLECTION.read_text())) == served


def examples(collection: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the names of their requests."""
    return {item["name"]: example for item in requests(collection["item"]) for example in item["response"]}


def test_its_examples_hold_no_key() -> None:
    found = examples(json.loads(COLLECTION.read_text()))
    assert len(found) >= 10
    assert not any(re.search(r"t2v_[A-Za-z0-9_-]{20}", example["body"]) for example in found.values())


needs_newman = pytest.mark.skipif(NEWMAN is None, reason="run npm ci --prefix tests/npm first")


def run_by_newman(folder: Path, url: str, key: str) -> dict[str, dict[str, Any]]:
    """All of the collection, without a failed test; the answers by the names of their requests."""
    assert NEWMAN is not None
    report = folder / "report.json"
    variables = ["--env-var", f"baseUrl={url}", "--env-var", f"apiKey={key}"]
    reporters = ["--color", "off", "--reporters", "cli,json", "--reporter-json-export", report]
    done = subprocess.run(
        [NEWMAN, "run", COLLECTION, "--environment", ENVIRONMENT, *variables, *reporters],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    run = json.loads(report.read_text())["run"]
    assert run["stats"]["assertions"]["failed"] == 0
    return {each["item"]["name"]: each["response"] for each in run["executions"] if "response" in each}


@needs_newman
def test_newman_runs_all_of_it(client_service: ClientService, tmp_path: Path) -> None:
    collection = json.loads(COLLECTION.read_text())
    answers = run_by_newman(tmp_path, client_service.url, client_service.key)
    assert answers.keys() == {item["name"] for item in requests(collection["item"])}
    for name, example in examples(collection).items():
        assert example["code"] == answers[name]["code"]
        if example["_postman_previewlanguage"] == "json":
            answer = json.loads(bytes(answers[name]["stream"]["data"]))
            assert json.loads(example["body"]).keys() <= answer.keys(), f"{name}: out of date"


@needs_newman
def test_newman_runs_it_without_keys(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        answers = run_by_newman(tmp_path, f"http://127.0.0.1:{service.port}", "")
    assert answers["Make a key"]["code"] == 409
    assert "Revoke the key" not in answers
