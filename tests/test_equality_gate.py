"""The exact tier's promise: the stock pipeline's latents, whichever techniques compute them."""

import copy
from pathlib import Path

import pytest
import torch
from diffusers import TextToVideoSDPipeline

from services.catalogue_entry import SCHEDULERS
from services.generation.accelerated import accelerate, accelerate_with
from services.generation.acceleration.calls import UNetCall
from services.generation.acceleration.techniques import UNET_TECHNIQUES, choose_techniques
from services.generation.acceleration.workshop import Workshop
from services.generation.decoding import decode_frames
from services.generation.memory import Placement
from services.generation.prompts import encode_prompts
from services.generation.sampling import sample
from tests.test_sampling import make_params, run_pipeline
from tests.tiny_checkpoint import make_pipeline
from tests.waiting import eventually

CPU = Placement(torch.device("cpu"), torch.float32, offload="none", vae_slicing=False)
IN_BFLOAT16 = Placement(torch.device("cpu"), torch.bfloat16, offload="none", vae_slicing=False)
ALL = frozenset(UNET_TECHNIQUES)
CHOICES = [*(frozenset({name}) for name in UNET_TECHNIQUES), ALL]
LONG = "a red circle moving left on a white background " * 12


@pytest.fixture(scope="module")
def pipe():
    """Of the reference's block types, with weights where it starts with zeros: all layers count."""
    pipeline = make_pipeline()
    torch.manual_seed(7)
    for parameter in pipeline.unet.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def accelerated(pipe):
    """The pipeline with some techniques; its own networks stay as they are."""
    made = {}

    def make(techniques):
        if techniques not in made:
            twin = copy.deepcopy(pipe)
            made[techniques] = twin, accelerate_with(twin, CPU, techniques)
        return made[techniques]

    return make


def run(pipe, accelerated, params, device=CPU.device):
    with torch.inference_mode():
        embeddings = encode_prompts(
            pipe,
            params.prompt,
            params.negative_prompt,
            guidance=params.guidance_scale > 1,
            device=device,
            negatives=accelerated.negatives,
        )
        return sample(
            pipe,
            embeddings,
            params,
            device=device,
            on_step=lambda step: None,
            is_cancelled=lambda: False,
            denoiser=accelerated.denoiser,
        )


def cosine(ours, theirs):
    return torch.cosine_similarity(ours.double().flatten(), theirs.double().flatten(), dim=0).item()


@pytest.mark.parametrize("techniques", CHOICES, ids=lambda chosen: "+".join(sorted(chosen)))
def test_each_technique(pipe, accelerated, techniques):
    params = make_params(scheduler="dpm++", negative_prompt="a blue star")
    assert cosine(run(*accelerated(techniques), params), run_pipeline(pipe, params)) >= 0.999999


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_all_techniques_with_every_scheduler(pipe, accelerated, scheduler):
    params = make_params(scheduler=scheduler, num_inference_steps=4)
    assert cosine(run(*accelerated(ALL), params), run_pipeline(pipe, params)) >= 0.99999


@pytest.mark.parametrize("changes", [{"guidance_scale": 1.0}, {"num_frames": 1}, {"width": 72, "height": 40}])
def test_all_techniques_at_other_shapes(pipe, accelerated, changes):
    params = make_params(**changes)
    assert cosine(run(*accelerated(ALL), params), run_pipeline(pipe, params)) >= 0.99999


def test_prompts_count_and_are_not_kept_from_clip_to_clip(pipe, accelerated):
    clips = [make_params(prompt=prompt) for prompt in ("a red circle", "a green star", "a red circle", LONG)]
    plain, fast = accelerated(frozenset()), accelerated(ALL)
    ours = [run(*fast, params) for params in clips]
    assert torch.equal(ours[0], ours[2])
    assert not torch.equal(ours[0], ours[1])
    for latents, params in zip(ours, clips, strict=True):
        assert cosine(latents, run(*plain, params)) >= 0.99999


def test_no_techniques_are_the_pipeline_bit_for_bit(pipe, accelerated):
    params = make_params(scheduler="unipc")
    assert torch.equal(run(*accelerated(frozenset()), params), run_pipeline(pipe, params))


def test_an_accelerated_unet_still_serves_the_stock_pipeline(pipe, accelerated):
    params = make_params()
    assert cosine(run_pipeline(accelerated(ALL)[0], params), run_pipeline(pipe, params)) >= 0.99999


def test_weights_are_neither_lost_nor_doubled(pipe, accelerated):
    changed, _ = accelerated(ALL)
    before, after = pipe.unet.state_dict(), changed.unet.state_dict()
    assert {name: tensor.shape for name, tensor in before.items()}.items() <= {
        name: tensor.shape for name, tensor in after.items()
    }.items()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    memory = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in after.values()
    }
    assert sum(memory.values()) == sum(tensor.nbytes for tensor in before.values())


def test_the_demo_checkpoint():
    folder = Path(__file__).parents[1] / "checkpoints" / "demo"
    pipes = [TextToVideoSDPipeline.from_pretrained(folder) for _ in range(2)]
    pipes[0].set_progress_bar_config(disable=True)
    params = make_params(prompt="a red circle moving left", scheduler="dpm++", num_frames=8)
    theirs = run_pipeline(pipes[0], params)
    accelerated = accelerate_with(pipes[1], CPU, ALL)
    ours = run(pipes[1], accelerated, params)
    assert cosine(ours, theirs) >= 0.99999
    with torch.inference_mode():
        stock = next(decode_frames(pipes[0], theirs, 8)).astype(int)
        frames = next(decode_frames(pipes[1], ours, 8, accelerated.decoder)).astype(int)
    assert abs(frames - stock).max() <= 1


@pytest.mark.timeout(600)
async def test_openvino(pipe, tmp_path, monkeypatch):
    """In the background, by the process that the service uses; then with every sampler."""
    twin = copy.deepcopy(pipe)
    accelerated = accelerate(twin, CPU, workshop=Workshop(tmp_path))
    assert "openvino" in accelerated.techniques
    params = make_params(num_inference_steps=4)
    run(twin, accelerated, params)
    await eventually(lambda: list(tmp_path.glob("*.compiled")), timeout=500)
    run(twin, accelerated, params)
    accelerated.wait_until_loaded()
    monkeypatch.setattr(twin.unet, "forward", None)
    for scheduler in SCHEDULERS:
        params = make_params(scheduler=scheduler, num_inference_steps=4)
        assert cosine(run(twin, accelerated, params), run_pipeline(pipe, params)) >= 0.99999


def test_all_techniques_compile_without_a_break_in_the_graph(accelerated):
    twin, _ = accelerated(ALL)
    call = UNetCall(twin.unet, text_attention=True)
    context = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        tensors = [torch.randn(2, 4, 3, 8, 8), torch.tensor(5.0), *call.read(context)]
        compiled = torch.compile(call, fullgraph=True, dynamic=False, backend="eager")
        assert torch.equal(compiled(*tensors)[0], call(*tensors)[0])


@pytest.mark.parametrize(
    ("placement", "mode", "chosen"),
    [
        (CPU, "auto", {*UNET_TECHNIQUES, "openvino"}),
        (CPU, "on", {*UNET_TECHNIQUES, "openvino"}),
        (CPU, "off", set()),
        (IN_BFLOAT16, "auto", set()),
        (IN_BFLOAT16, "on", {"compiled"}),
        (Placement(CPU.device, torch.float32, offload="model", vae_slicing=False), "on", set()),
        (
            Placement(torch.device("cuda:0"), torch.float16, "none", False),
            "off",
            {*UNET_TECHNIQUES, "cuda_graphs"},
        ),
    ],
    ids=[
        *("cpu", "cpu, on", "cpu, not compiling", "cpu in half precision", "cpu in half precision, on"),
        *("offload", "cuda, not compiling"),
    ],
)
def test_what_a_placement_gets(pipe, monkeypatch, placement, mode, chosen):
    monkeypatch.setattr("services.generation.accelerated.CudaGraphs", lambda device: None)
    assert accelerate(copy.deepcopy(pipe), placement, compile_mode=mode).techniques == chosen


def test_an_unknown_technique_is_named(pipe):
    with pytest.raises(ValueError, match="unknown techniques warp; known: temporal_conv"):
        accelerate_with(pipe, CPU, frozenset({"warp"}))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
async def test_half_precision_with_graphs(pipe, tmp_path_factory, scheduler):
    cuda = Placement(torch.device("cuda:0"), torch.float16, offload="none", vae_slicing=False)
    theirs, ours = (copy.deepcopy(pipe).to(cuda.device, torch.float16) for _ in range(2))
    folder = tmp_path_factory.getbasetemp() / "compiled"
    techniques = choose_techniques(ours, cuda, "auto")
    accelerated = accelerate_with(ours, cuda, techniques, Workshop(folder))
    params = make_params(scheduler=scheduler, num_inference_steps=8)
    expected = run_pipeline(theirs, params)
    assert cosine(run(ours, accelerated, params, cuda.device), expected) >= 0.999
    await eventually(lambda: list(folder.glob("*.compiled")), timeout=600)
    assert cosine(run(ours, accelerated, params, cuda.device), expected) >= 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - {"ddpm", "euler_a", "lcm", "unipc"}))
def test_no_step_waits_for_the_device(pipe, scheduler):
    cuda = Placement(torch.device("cuda:0"), torch.float16, offload="none", vae_slicing=False)
    ours = copy.deepcopy(pipe).to(cuda.device, torch.float16)
    accelerated = accelerate_with(ours, cuda, ALL)
    params = make_params(scheduler=scheduler, num_inference_steps=8)
    steps = []

    def on_step(step):
        # From the second step on: what comes before copies the noise, what comes after looks at the result.
        torch.cuda.set_sync_debug_mode("error" if 2 <= step < 8 else "default")
        steps.append(step)

    with torch.inference_mode():
        embeddings = encode_prompts(ours, params.prompt, "", guidance=True, device=cuda.device)
        try:
            sample(
                ours,
                embeddings,
                params,
                device=cuda.device,
                on_step=on_step,
                is_cancelled=lambda: False,
                denoiser=accelerated.denoiser,
            )
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert steps == list(range(9))
