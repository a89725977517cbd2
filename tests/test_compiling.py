"""Compiling beside the work: results found again, failures that cost nothing but speed."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from diffusers import TransformerTemporalModel
from torch import nn

from services.generation.acceleration.backends import BACKENDS
from services.generation.acceleration.compile_spec import CompileSpec, describe_call, describe_structure
from services.generation.acceleration.compiler import Compiler
from services.generation.acceleration.openvino_backend import OpenVinoBackend
from services.generation.acceleration.runner import Runner
from services.generation.acceleration.workshop import Workshop
from services.generation.decoding import Decoder, decode_frames
from tests.tiny_checkpoint import make_pipeline
from tests.waiting import eventually

_AT_ONCE = (
    "from services.generation.acceleration import compile_ahead;"
    "compile_ahead._NICENESS = 0; compile_ahead.main()"
)
COMPILER = (sys.executable, "-c", _AT_ONCE)
"""As it comes, but not last in line on a machine that tests keep busy."""
NO_COMPILER = (sys.executable, "-c", "import sys; sys.exit('no compiler here')")


class TemporalCall(nn.Module):
    """One of the UNet's transformers along time."""

    def __init__(self, network, *, num_frames):
        super().__init__()
        self.network = network
        self.options = {"num_frames": num_frames}

    def forward(self, hidden_states):
        return self.network(hidden_states, num_frames=self.options["num_frames"], return_dict=False)


def make_call(seed=0):
    torch.manual_seed(seed)
    network = TransformerTemporalModel(1, 8, in_channels=8, norm_num_groups=2)
    return TemporalCall(network.eval().requires_grad_(False), num_frames=3)


def make_input(height=4):
    return torch.randn(3, 8, height, 4, generator=torch.Generator().manual_seed(1))


def make_spec(call, techniques=(), backend="compiled"):
    return describe_call(call, techniques, describe_structure(call), [make_input()], backend)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(
            BACKENDS["compiled"],
            marks=pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++"),
        ),
        BACKENDS["openvino"],
    ],
    ids=lambda backend: backend.name,
)
@pytest.mark.timeout(600)
async def test_a_call_is_compiled_once_and_found_again(tmp_path, monkeypatch, backend):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "restored afterwards")
    call, tensor = make_call(), make_input()
    compiler = Compiler(Workshop(tmp_path / "results", COMPILER), (), backend)
    with torch.inference_mode():
        assert compiler.find(call, [tensor]) is None, "nobody waits for it"
        compiled = await eventually(lambda: compiler.find(call, [tensor]), timeout=540)
        assert compiled is compiler.find(call, [tensor])
        torch.testing.assert_close(compiled(tensor), call(tensor))
        assert compiled(tensor.permute(0, 1, 3, 2))[0].isfinite().all(), "any layout"
        after_restart = Compiler(Workshop(tmp_path / "results", NO_COMPILER), (), backend)
        other_weights = make_call(seed=5)
        found = await eventually(lambda: after_restart.find(other_weights, [tensor]))
        torch.testing.assert_close(found(tensor), other_weights(tensor))


async def test_a_failure_to_compile_is_told_once_and_leaves_the_call_as_it_is(tmp_path, caplog):
    call, tensor = make_call(), make_input()
    runner = Runner(compiler=Compiler(Workshop(tmp_path, NO_COMPILER), (), BACKENDS["compiled"]))
    for _ in range(2):
        with torch.inference_mode():
            run = runner.choose(call, [tensor], [])
            assert torch.equal(run([tensor], [])[0], call(tensor)[0])
        await eventually(lambda: "no compiler here" in caplog.text)
    assert caplog.text.count("TransformerTemporalModel is not compiled: no compiler here") == 1
    assert not list(tmp_path.glob("*.compiled"))


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_a_damaged_result_goes(tmp_path, caplog, monkeypatch, backend):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "restored afterwards")
    call, tensor = make_call(), make_input()
    workshop = Workshop(tmp_path, NO_COMPILER)
    path = tmp_path / f"{make_spec(call, backend=backend.name).digest}.compiled"
    path.write_bytes(b"cut off")
    (tmp_path / "kernels").mkdir()
    compiler = Compiler(workshop, (), backend)
    for _ in range(2):
        assert compiler.find(call, [tensor]) is None
        compiler.wait_until_loaded()
    assert not path.exists()
    assert caplog.text.count("is not compiled") == 1


def test_what_is_loaded_is_bounded(tmp_path, monkeypatch):
    """OpenVINO holds a network's weights once more for each call that is loaded."""
    backend = OpenVinoBackend()
    monkeypatch.setattr(backend, "load", lambda path, call: lambda *tensors: tensors, raising=True)
    workshop = Workshop(tmp_path, NO_COMPILER)
    calls = [make_call() for _ in range(backend.most_loaded + 1)]
    (tmp_path / f"{make_spec(calls[0], backend='openvino').digest}.compiled").touch()
    compiler = Compiler(workshop, (), backend)
    for call in calls:
        compiler.find(call, [make_input()])
        compiler.wait_until_loaded()
    assert compiler.find(calls[-1], [make_input()]) is not None
    assert compiler.find(calls[0], [make_input()]) is None, "the least recently used has gone"


def test_openvino_reports_to_nobody():
    """It has a package that tells its makers of each import; ours is blocked before it is looked for."""
    code = (
        "import sys, services.generation.acceleration.openvino_backend as ours; ours._import_openvino();"
        "print([name for name in sys.modules if name.split('.')[0] == 'openvino_telemetry' "
        "and sys.modules[name] is not None])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_spec_builds_what_it_describes():
    call = make_call()
    spec = CompileSpec.from_json(make_spec(call).to_json())
    assert spec == make_spec(call)
    built, tensors = spec.build()
    assert describe_structure(built) == describe_structure(call)
    assert [tensor.shape for tensor in tensors] == [make_input().shape]


def test_a_network_that_was_changed_otherwise_is_refused():
    call = make_call()
    call.network.proj_in = nn.Linear(8, 8, bias=False)
    with pytest.raises(ValueError, match="changed by more than the techniques"):
        make_spec(call).build()


def test_results_differ_by_whatever_they_depend_on():
    call = make_call()
    spec = make_spec(call)
    others = [
        replace(spec, options='{"num_frames": 1}'),
        replace(spec, techniques=("channels_last",)),
        replace(spec, tensors=(("float16", (3, 8, 4, 4)),)),
        replace(spec, structure="other"),
        describe_call(call, (), spec.structure, [make_input(height=8)], "compiled"),
        replace(spec, backend="openvino"),
    ]
    assert len({each.digest for each in [spec, *others]}) == 1 + len(others)
    assert make_spec(make_call(seed=3)).digest == spec.digest, "weights do not matter"


def test_a_last_chunk_is_filled_up_where_shapes_are_dear(tmp_path):
    pipe = make_pipeline()
    latents = torch.randn(1, 4, 5, 8, 8, generator=torch.Generator().manual_seed(4)) * 0.18215
    runner = Runner(compiler=Compiler(Workshop(tmp_path, NO_COMPILER), (), BACKENDS["compiled"]))
    with torch.inference_mode():
        chunks = list(decode_frames(pipe, latents, 3, Decoder(pipe.vae, runner)))
        whole = next(decode_frames(pipe, latents, 5)).astype(int)
    assert [len(chunk) for chunk in chunks] == [3, 2]
    assert abs(chunks[1].astype(int) - whole[3:]).max() <= 1
