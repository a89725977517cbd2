"""A loaded pipeline's UNet and VAE, called in the fastest way that its place allows."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from services.catalogue_entry import Defaults
from services.execution.executor import ExecutionFailed
from services.generation.acceleration.backends import BACKENDS
from services.generation.acceleration.compiler import Compiler
from services.generation.acceleration.cuda_graphs import CudaGraphs
from services.generation.acceleration.runner import Runner
from services.generation.acceleration.techniques import apply_techniques, choose_techniques
from services.generation.acceleration.workshop import Workshop
from services.generation.decoding import Decoder, frames_per_chunk
from services.generation.denoiser import Denoiser
from services.generation.memory import Placement, is_out_of_memory, release_memory
from services.generation.prompts import NegativeEmbeddings, PromptEmbeddings

logger = logging.getLogger(__name__)

_VAE_TECHNIQUES = frozenset({"channels_last", "cuda_graphs", "compiled"})


@dataclass(frozen=True)
class Accelerated:
    """How a model's networks are called.

    Attributes:
        techniques: What it was given, see ``TECHNIQUES``.
        runner: Calls the UNet.
        negatives: Its negative prompts that are encoded already.
        compilers: Of its networks whose calls are compiled.
    """

    techniques: frozenset[str]
    runner: Runner
    denoiser: Denoiser
    decoder: Decoder
    negatives: NegativeEmbeddings
    compilers: tuple[Compiler, ...]

    @property
    def text_attention(self) -> bool:
        """Whether the UNet takes the text's keys and values; what else calls it must know."""
        return "text_attention" in self.techniques

    def wait_until_loaded(self) -> None:
        """See ``Compiler``."""
        for compiler in self.compilers:
            compiler.wait_until_loaded()


def accelerate(
    pipe: Any, placement: Placement, *, compile_mode: str = "auto", workshop: Workshop | None = None
) -> Accelerated:
    """Give a pipeline the techniques that suit its placement; its UNet and VAE are changed in place.

    Args:
        compile_mode: ``auto``, ``on`` or ``off``, see ``choose_techniques``.
        workshop: Where calls are compiled; None to compile nothing.
    """
    return accelerate_with(pipe, placement, choose_techniques(pipe, placement, compile_mode), workshop)


def accelerate_with(
    pipe: Any, placement: Placement, techniques: frozenset[str], workshop: Workshop | None = None
) -> Accelerated:
    """Give a pipeline just these techniques. Raises ValueError for an unknown one."""
    # One memory for the recordings of both: they are replayed in turn.
    graphs = CudaGraphs(placement.device) if "cuda_graphs" in techniques else None
    runners, compilers = [], []
    for network, applied in ((pipe.unet, techniques), (pipe.vae, techniques & _VAE_TECHNIQUES)):
        apply_techniques(network, applied)
        compiler = None
        backend = next((each for name, each in BACKENDS.items() if name in applied), None)
        if workshop is not None and backend is not None:
            compiler = Compiler(workshop, tuple(sorted(applied)), backend)
            compilers.append(compiler)
        runners.append(Runner(graphs, compiler))
    runner, decoding = runners
    return Accelerated(
        techniques,
        runner,
        Denoiser(pipe.unet, text_attention="text_attention" in techniques, runner=runner),
        Decoder(pipe.vae, decoding),
        NegativeEmbeddings(),
        tuple(compilers),
    )


def warm_up(pipe: Any, placement: Placement, accelerated: Accelerated, size: Defaults) -> None:
    """Call both networks as a clip of this size will: libraries choose their kernels, graphs are recorded,
    and what was compiled before a restart is loaded, before the first job and not in it.

    Nothing on a CPU without OpenVINO, where no first call costs more than the next.
    """
    with_openvino = "openvino" in accelerated.techniques and accelerated.compilers
    if placement.device.type != "cuda" and not with_openvino:
        return
    try:
        with torch.inference_mode():
            _call_both(pipe, placement, accelerated, size)
        accelerated.wait_until_loaded()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        logger.info("no room to warm up at %d×%d", size.width, size.height)
        accelerated.runner.clear()
    release_memory(placement.device)


def _call_both(pipe: Any, placement: Placement, accelerated: Accelerated, size: Defaults) -> None:
    device, dtype = placement.device, placement.dtype
    height, width = size.height // pipe.vae_scale_factor, size.width // pipe.vae_scale_factor
    noise = torch.randn(1, pipe.unet.config.in_channels, size.num_frames, height, width)
    latents = noise.to(device, dtype)
    text = torch.randn(1, pipe.tokenizer.model_max_length, pipe.unet.config.cross_attention_dim)
    prompt = text.to(device, dtype)
    embeddings = PromptEmbeddings(prompt, prompt if size.guidance_scale > 1 else None, None)
    predict = accelerated.denoiser.begin(embeddings, size.guidance_scale)
    timestep = torch.tensor(1.0, device=device)
    chunk = frames_per_chunk(size.height, size.width, pixels=placement.decode_pixels)
    # Graphs are recorded at the second call.
    for _ in range(2 if device.type == "cuda" else 1):
        predict(latents, timestep)
        with suppress(ExecutionFailed):  # noise is no clip
            list(accelerated.decoder.decode(latents, chunk))
