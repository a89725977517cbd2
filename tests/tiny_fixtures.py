"""Fixtures over the toy checkpoint. A test module asks for them with ``pytest_plugins``."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.execution.messages import GeneratorConfig
from services.generation.generator import Generator
from tests.tiny_checkpoint import save_tiny_checkpoint


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny_entry(tiny_folder: Path) -> CatalogueEntry:
    return replace(Catalogue.create(str(tiny_folder)).get(tiny_folder.name), name="tiny", memory_gib=0.1)


@pytest.fixture(scope="session")
def tiny_generator(tiny_entry: CatalogueEntry) -> Generator:
    generator = Generator(GeneratorConfig(device="cpu"))
    generator.load(tiny_entry)
    return generator
