"""A folder as a model: the size that it was trained for is the default."""

import json
from pathlib import Path

import pytest

from services.catalogue import Catalogue
from services.catalogue_entry import REPOSITORY_ROOT, CatalogueEntry


def entry_with(
    folder: Path, sample_size: object, vae: str = '{"block_out_channels": [8, 8, 16, 16]}'
) -> CatalogueEntry:
    for name, config in (("unet", json.dumps({"sample_size": sample_size})), ("vae", vae)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(config)
    (folder / "model_index.json").write_text("{}")
    return Catalogue.create(str(folder)).default_entry


def test_the_demo_checkpoint_as_a_folder() -> None:
    entry = Catalogue.create(str(REPOSITORY_ROOT / "checkpoints" / "demo")).default_entry
    assert (entry.defaults.width, entry.defaults.height) == (128, 128)
    assert 144 in entry.limits.width
    assert 136 not in entry.limits.width  # Half a latent more.


@pytest.mark.parametrize(
    ("sample_size", "size"),
    [
        (32, (256, 256)),
        ([40, 72], (320, 576)),
        (None, (256, 256)),
        ("8", (256, 256)),
        ([40, 72, 16], (256, 256)),
        (0, (256, 256)),
        (1, (256, 256)),
        (129, (256, 256)),
    ],
)
def test_height_and_width_by_default(tmp_path: Path, sample_size: object, size: tuple[int, int]) -> None:
    entry = entry_with(tmp_path, sample_size)
    assert (entry.defaults.height, entry.defaults.width) == size


@pytest.mark.parametrize("vae", ["{}", "[]", "", '{"block_out_channels": 4}'])
def test_what_the_files_do_not_say_is_the_reference_models(tmp_path: Path, vae: str) -> None:
    entry = entry_with(tmp_path, 8, vae)
    assert (entry.defaults.height, entry.defaults.width) == (256, 256)
