"""Muon changes a network's kernels, AdamW all else, and both go on from where they were."""

import copy

import pytest
import torch
from torch import nn

from services.generation.acceleration.channels_last import use_channels_last
from training.networks import Widths, build_unet
from training.optimizer import MOMENTUM, SLOWER_SHARE, WEIGHT_DECAY, Muon, MuonAndAdamW
from training.team import Team

RATE = 1e-3
KERNEL = "mid_block.resnets.0.conv1.weight"
BIAS = "mid_block.resnets.0.conv1.bias"
END = "conv_in.weight"


class Networks:
    """A small UNet and two layers beside it, and their optimizer."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.unet = build_unet()
        self.text_encoder, self.head = nn.Linear(4, 4), nn.Linear(4, 4)
        self.optimizer = MuonAndAdamW(self.unet, beside=(self.head,), slower=(self.text_encoder,))

    def learn(self, seed: int) -> None:
        """A step whose gradients are much the longest in one direction."""
        generator = torch.Generator().manual_seed(seed)
        for network in (self.unet, self.text_encoder, self.head):
            for weight in network.parameters():
                weight.grad = torch.randn(weight.shape, generator=generator) + 10
        self.optimizer.step(RATE)

    def weight(self, name: str) -> torch.Tensor:
        return self.unet.get_parameter(name).detach().clone()


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Networks:
    monkeypatch.setattr("training.networks.WIDTHS", Widths(vae=(8, 8, 8, 8), unet=(16, 16)))
    return Networks()


def test_a_kernel_moves_as_far_in_every_direction(networks: Networks) -> None:
    before = networks.weight(KERNEL)
    networks.learn(seed=1)
    moved = (networks.weight(KERNEL) - before).flatten(1)
    lengths = torch.linalg.svdvals(moved)
    assert lengths.max() < 3 * lengths.min(), "unlike its gradient"
    assert moved.square().mean().sqrt() == pytest.approx(0.2 * RATE, rel=0.3), "as far as AdamW goes"


def test_muon_makes_the_steps_of_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shapes = [(4, 4), (3, 40), (40, 3)]
    start = [torch.randn(shape) for shape in shapes]
    gradients = [[torch.randn(shape) for shape in shapes] for _ in range(3)]
    theirs = [nn.Parameter(matrix.clone()) for matrix in start]
    reference = torch.optim.Muon(theirs, RATE, WEIGHT_DECAY, MOMENTUM, adjust_lr_fn="match_rms_adamw")
    for in_bfloat16 in (True, False):
        monkeypatch.setattr("training.optimizer.has_bfloat16", lambda answer=in_bfloat16: answer)
        ours = [nn.Parameter(matrix.clone()) for matrix in start]
        optimizer = Muon(ours, Team())
        optimizer.param_groups[0]["lr"] = RATE
        for step in gradients:
            for matrix, other, gradient in zip(ours, theirs, step, strict=True):
                matrix.grad, other.grad = gradient.clone(), gradient.clone()
            optimizer.step()
            if in_bfloat16:
                reference.step()
        for matrix, other, before in zip(ours, theirs, start, strict=True):
            rounding = 1e-6 if in_bfloat16 else 0.05
            assert (matrix - other).norm() <= rounding * (other - before).norm()


def test_what_has_no_gradient_stays() -> None:
    matrix = nn.Parameter(torch.eye(3))
    optimizer = Muon([matrix], Team())
    optimizer.param_groups[0]["lr"] = RATE
    optimizer.step()
    assert matrix.equal(torch.eye(3))


def test_a_kernel_with_channels_innermost_moves_as_any(networks: Networks) -> None:
    other = Networks()
    use_channels_last(other.unet)
    assert not other.unet.get_parameter(KERNEL).is_contiguous()
    other.optimizer = MuonAndAdamW(other.unet, beside=(other.head,), slower=(other.text_encoder,))
    before = networks.weight(KERNEL)
    for each in (networks, other):
        each.learn(seed=1)
    apart = (networks.weight(KERNEL) - other.weight(KERNEL)).norm()
    assert apart < 0.05 * (networks.weight(KERNEL) - before).norm(), "but for rounding in bfloat16"


def test_all_else_moves_as_adamw_has_it(networks: Networks) -> None:
    names = (BIAS, END)
    before = {name: networks.weight(name) for name in names}
    beside = networks.text_encoder.bias.detach().clone(), networks.head.bias.detach().clone()
    networks.learn(seed=1)
    for name in names:
        assert torch.allclose(before[name] - networks.weight(name), torch.tensor(RATE), rtol=0.05)
    assert torch.allclose(
        beside[0] - networks.text_encoder.bias, torch.tensor(SLOWER_SHARE * RATE), rtol=0.05
    )
    assert torch.allclose(beside[1] - networks.head.bias, torch.tensor(RATE), rtol=0.05)


def test_a_step_forgets_its_gradients(networks: Networks) -> None:
    networks.learn(seed=1)
    assert all(weight.grad is None for weight in networks.unet.parameters())


def test_it_goes_on_from_its_state(networks: Networks) -> None:
    networks.learn(seed=1)
    other = Networks()
    other.unet.load_state_dict(networks.unet.state_dict())
    other.optimizer.load_state_dict(copy.deepcopy(networks.optimizer.state_dict()))
    for each in (networks, other):
        each.learn(seed=2)
    for weight, same in zip(networks.unet.parameters(), other.unet.parameters(), strict=True):
        assert torch.equal(weight, same)
