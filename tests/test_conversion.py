"""Pickled weights: never read by the service, and turned into safetensors by one command."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed
from services.execution.messages import GeneratorConfig
from services.generation.conversion import CannotConvert, convert, pickled_parts, safe_name
from services.generation.loading import load_pipeline
from services.generation.memory import Placement
from tests.tiny_checkpoint import save_tiny_checkpoint

pytest_plugins = ["tests.tiny_fixtures"]

CPU = Placement(torch.device("cpu"), torch.float32, offload="none", vae_slicing=False)
OFFLINE = GeneratorConfig(device="cpu", local_files_only=True)


def pickle_weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Put pickles in the place of all safetensors, under the names that both libraries give them."""
    weights = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        weights[path.parent.name] = load_file(path)
        name = path.name.replace(".safetensors", ".bin")
        pickle = path.with_name(f"pytorch_{name}" if name.startswith("model.") else name)
        torch.save(weights[path.parent.name], pickle)
        path.unlink()
    return weights


@pytest.fixture
def pickled(tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_folder, folder)
    pickle_weights(folder)
    return folder


def why_refused(entry: CatalogueEntry) -> str:
    with pytest.raises(ExecutionFailed) as caught:
        load_pipeline(entry, CPU, OFFLINE)
    assert caught.value.code == "model_unavailable"
    return caught.value.message


def test_pickles_are_refused_until_they_are_converted(tiny_entry: CatalogueEntry, pickled: Path) -> None:
    entry = replace(tiny_entry, checkpoint=str(pickled))
    message = why_refused(entry)
    assert "text_encoder, unet, vae" in message
    assert "python -m services.generation.conversion FOLDER" in message
    assert str(pickled) not in message
    done = subprocess.run(
        [sys.executable, "-m", "services.generation.conversion", str(pickled)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote") == 3
    expected = load_pipeline(tiny_entry, CPU, OFFLINE)
    converted = load_pipeline(entry, CPU, OFFLINE)
    for part in ("unet", "vae", "text_encoder"):
        state, wanted = getattr(converted, part).state_dict(), getattr(expected, part).state_dict()
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert convert(pickled) == []


def test_the_variant_and_its_number_format_are_kept(tmp_path: Path) -> None:
    folder = save_tiny_checkpoint(tmp_path / "half", variant="fp16")
    weights = pickle_weights(folder)
    names = {str(path.relative_to(folder)) for path in convert(folder)}
    assert names == {
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    }
    for name in names:
        converted = load_file(folder / name)
        for key, tensor in weights[name.partition("/")[0]].items():
            assert converted[key].dtype == tensor.dtype
            assert torch.equal(converted[key], tensor)


def test_weights_in_several_files_keep_their_index(tmp_path: Path) -> None:
    part = tmp_path / "unet"
    part.mkdir()
    for number in (1, 2):
        shard = part / f"diffusion_pytorch_model-0000{number}-of-00002.bin"
        torch.save({f"layer{number}": torch.ones(number)}, shard)
    index = {
        "metadata": {"total_size": 12},
        "weight_map": {f"layer{n}": f"diffusion_pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)},
    }
    (part / "diffusion_pytorch_model.bin.index.json").write_text(json.dumps(index))
    convert(tmp_path)
    converted = json.loads((part / "diffusion_pytorch_model.safetensors.index.json").read_text())
    for number in (1, 2):
        file = converted["weight_map"][f"layer{number}"]
        assert torch.equal(load_file(part / file)[f"layer{number}"], torch.ones(number))
    assert safe_name("pytorch_model-00001-of-00002.bin") == "model-00001-of-00002.safetensors"


class Marks:
    """A pickle that makes a file when a careless loader reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self._path), 0o700)


def test_no_code_of_a_pickle_runs(tiny_entry: CatalogueEntry, pickled: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"weight": Marks(mark)}, pickled / "unet" / "diffusion_pytorch_model.bin")
    why_refused(replace(tiny_entry, checkpoint=str(pickled)))
    with pytest.raises(CannotConvert, match=r"unet/diffusion_pytorch_model\.bin"):
        convert(pickled)
    assert not mark.exists()


def test_no_code_of_a_checkpoint_runs(tiny_entry: CatalogueEntry, tiny_folder: Path, tmp_path: Path) -> None:
    folder, mark = tmp_path / "copy", tmp_path / "it ran"
    shutil.copytree(tiny_folder, folder)
    code = f"from pathlib import Path\nPath({str(mark)!r}).mkdir()\nclass Own: pass\n"
    for path in (folder / "own.py", folder / "unet" / "own.py", folder / "pipeline.py"):
        path.write_text(code)
    index = json.loads((folder / "model_index.json").read_text())
    for changed in ({"unet": ["own", "Own"]}, {"_class_name": ["pipeline", "Own"]}):
        (folder / "model_index.json").write_text(json.dumps(index | changed))
        entry = replace(tiny_entry, checkpoint=str(folder))
        why_refused(entry)
    assert not mark.exists()


def test_a_part_with_both_is_read_from_its_safetensors(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(tiny_folder, folder)
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never read")
    assert pickled_parts(folder) == []


def test_the_catalogue_names_commits() -> None:
    for entry in Catalogue.create("demo"):
        if not Path(entry.checkpoint).is_absolute():
            assert entry.revision is not None
            assert len(entry.revision) == 40
            assert set(entry.revision) <= set("0123456789abcdef"), entry.name
