"""Checkpoints: found, damaged, missing, gated, unreachable."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from services.execution.executor import ExecutionFailed
from services.execution.messages import GeneratorConfig
from services.generation.loading import load_pipeline
from services.generation.memory import Placement
from services.generation.weights import weight_bytes
from tests.hub import COMMIT, TOKEN, serve_hub
from tests.tiny_checkpoint import save_tiny_checkpoint

pytest_plugins = ["tests.tiny_fixtures"]

CPU = Placement(torch.device("cpu"), torch.float32, offload="none", vae_slicing=False)
OFFLINE = GeneratorConfig(device="cpu", local_files_only=True)


def load(entry, placement=CPU, config=OFFLINE):
    return load_pipeline(entry, placement, config)


def failure(entry):
    with pytest.raises(ExecutionFailed) as caught:
        load(entry)
    assert caught.value.code == "model_unavailable"
    return caught.value.message


@pytest.fixture
def damaged(tiny_folder, tiny_entry, tmp_path):
    """A copy of the checkpoint that a test may damage: its folder and its entry."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_folder, folder)
    return folder, replace(tiny_entry, checkpoint=str(folder))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_folder_loads_in_the_wanted_format(tiny_entry, dtype):
    pipe = load(tiny_entry, replace(CPU, dtype=dtype))
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {dtype}
    assert pipe.tokenizer.model_max_length == 77
    assert not pipe.unet.training


def test_a_half_precision_variant_loads_as_float32(tiny_entry, tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "half", variant="fp16")
    pipe = load(replace(tiny_entry, checkpoint=str(folder), variant="fp16"))
    assert pipe.unet.dtype == torch.float32


def test_a_tokenizer_without_a_limit_gets_the_encoders(damaged):
    folder, entry = damaged
    path = folder / "tokenizer" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["model_max_length"] = 10**30
    path.write_text(json.dumps(config))
    assert load(entry).tokenizer.model_max_length == 77


def test_slicing_is_switched_on(tiny_entry):
    assert load(tiny_entry, replace(CPU, vae_slicing=True)).vae.use_slicing
    assert not load(tiny_entry).vae.use_slicing


def test_a_folder_that_is_not_there(tiny_entry, tmp_path):
    message = failure(replace(tiny_entry, checkpoint=str(tmp_path / "nowhere")))
    assert "nowhere is not a checkpoint" in message
    assert "no model_index.json" in message
    assert str(tmp_path) not in message, "callers see the message; paths are none of their business"


def test_an_empty_folder(tiny_entry, tmp_path):
    assert "no model_index.json" in failure(replace(tiny_entry, checkpoint=str(tmp_path)))


@pytest.mark.parametrize("size", [0, 4, 1000], ids=["empty", "no header", "cut off"])
def test_damaged_weights(damaged, size):
    folder, entry = damaged
    with (folder / "unet" / "diffusion_pytorch_model.safetensors").open("r+b") as file:
        file.truncate(size)
    message = failure(entry)
    assert "damaged" in message
    assert "restore" in message


@pytest.mark.parametrize(
    "missing",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "text_encoder/model.safetensors",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_file(damaged, missing):
    folder, entry = damaged
    (folder / missing).unlink()
    message = failure(entry)
    assert "'tiny'" in message
    assert missing.rpartition("/")[2].partition(".")[0] in message


@pytest.mark.parametrize("path", ["model_index.json", "unet/config.json"])
def test_a_damaged_config(damaged, path):
    folder, entry = damaged
    (folder / path).write_text("{ not json")
    assert "'tiny'" in failure(entry)


def test_weights_that_no_memory_holds(damaged):
    """A file that is a terabyte by its header and by its size, and takes no room on the disk."""
    folder, entry = damaged
    count = 2**39
    header = json.dumps(
        {"weight": {"dtype": "F16", "shape": [count], "data_offsets": [0, 2 * count]}}
    ).encode()
    with (folder / "unet" / "diffusion_pytorch_model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2 * count)
    with pytest.raises(ExecutionFailed, match=r"take 2048\.0 GiB in torch\.float32") as caught:
        load(entry)
    assert caught.value.code == "out_of_memory"


def test_weights_are_counted_by_variant(tiny_folder, tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "half", variant="fp16")
    size = weight_bytes(folder, "fp16", torch.float16)
    assert size == weight_bytes(tiny_folder, None, torch.float32) / 2
    assert weight_bytes(folder, None, torch.float32) == 0
    on_disk = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert size == pytest.approx(on_disk, rel=0.05)


def test_a_pipeline_that_the_loop_does_not_know(tiny_entry):
    message = failure(replace(tiny_entry, pipeline_class="WanPipeline"))
    assert "'WanPipeline'" in message
    assert "TextToVideoSDPipeline" in message


def test_offline_without_a_download(tiny_entry, tmp_path):
    entry = replace(tiny_entry, checkpoint="somebody/some-model", revision="0" * 40)
    with pytest.raises(ExecutionFailed, match="T2V_OFFLINE") as caught:
        load(entry, config=replace(OFFLINE, cache_dir=str(tmp_path)))
    assert caught.value.code == "model_unavailable"


@pytest.fixture(scope="module")
def hub(tiny_folder):
    with serve_hub(tiny_folder) as endpoint:
        yield endpoint


def load_from_hub(endpoint, repository, cache, token=None):
    """Load in a process of its own: the hub's address is read when the library is imported."""
    script = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from services.catalogue import Catalogue\n"
        "from services.execution.executor import ExecutionFailed\n"
        "from services.execution.messages import GeneratorConfig\n"
        "from services.generation.generator import Generator\n"
        "repository, revision, cache, token = sys.argv[1:]\n"
        "entry = Catalogue.create('demo').get('demo')\n"
        "generator = Generator(GeneratorConfig(device='cpu', cache_dir=cache, token=token or None))\n"
        "try:\n"
        "    generator.load(replace(entry, checkpoint=repository, revision=revision))\n"
        "    print('loaded', *generator.loaded)\n"
        "except ExecutionFailed as error:\n"
        "    print(error.code, error.message)\n"
    )
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(cache),
    }
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", script, repository, COMMIT, str(cache), token or ""],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout
    return done.stdout.strip()


NOWHERE = "http://127.0.0.1:9"


def test_a_download_is_enough_for_a_start_without_network(hub, tmp_path):
    assert load_from_hub(hub, "open/model", tmp_path) == "loaded demo"
    assert load_from_hub(NOWHERE, "open/model", tmp_path) == "loaded demo"


def test_a_gated_model_loads_with_a_token(hub, tmp_path):
    said = load_from_hub(hub, "gated/model", tmp_path)
    assert said.startswith("model_unavailable")
    assert "HF_TOKEN" in said
    assert "accept its terms" in said
    assert load_from_hub(hub, "gated/model", tmp_path, token=TOKEN) == "loaded demo"


def test_a_model_that_is_not_on_the_hub(hub, tmp_path):
    said = load_from_hub(hub, "absent/model", tmp_path)
    assert said.startswith("model_unavailable")
    assert "not on the hub, or private" in said


def test_a_hub_that_cannot_be_reached(tmp_path):
    said = load_from_hub(NOWHERE, "some/model", tmp_path)
    assert said.startswith("model_unavailable")
    assert "the hub cannot be reached" in said
