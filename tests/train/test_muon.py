from __future__ import annotations

import copy

import torch
from torch import nn

from weatherml.run.experiment import TrainConfig
from weatherml.train.muon import Muon, orthogonal
from weatherml.train.optimizer import build_optimizer


def test_singular_values_come_near_one_and_directions_stay() -> None:
    torch.manual_seed(0)
    for shape in ((16, 40), (40, 16)):
        matrix = torch.randn(shape, dtype=torch.float64).float()
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        within = left.T @ orthogonal(matrix) @ right.T  # diagonal where directions are kept
        values = within.diagonal()
        assert (values > 0.6).all()
        assert (values < 1.3).all()
        torch.testing.assert_close(within, values.diag(), atol=1e-4, rtol=0)


def test_zeros_stay_zeros() -> None:
    assert orthogonal(torch.zeros(16, 16)).abs().max() == 0


def test_torchs_muon_takes_the_same_steps() -> None:
    """torch's reckons in bfloat16, with weight decay before the step as here, and matches AdamW's size if asked."""
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(24, 32))
    theirs = nn.Parameter(ours.detach().clone())
    settings = {"lr": 0.01, "weight_decay": 0.1}
    group = {"params": [ours], "orthogonal": True}
    mine = Muon([group], **settings)
    judge = torch.optim.Muon([theirs], momentum=0.95, adjust_lr_fn="match_rms_adamw", **settings)
    before = ours.detach().clone()
    for _ in range(5):
        gradient = torch.randn(24, 32)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        judge.step()
    moved = (theirs - before).norm()
    assert (ours - theirs).norm() < 0.05 * moved


def test_what_is_not_a_wide_kernel_is_adamws() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 20, 3), nn.Conv2d(20, 2, 1))
    twin = copy.deepcopy(model)
    x = torch.randn(2, 3, 8, 8)
    for network, kind in ((model, "muon"), (twin, "adamw")):
        optimizer = build_optimizer(network, TrainConfig(optimizer=kind, lr=0.01))
        network(x).square().mean().backward()
        optimizer.step()
    same = {name: torch.equal(p, q) for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True)}
    assert same == {name: name != "1.weight" for name in same}


def test_its_state_is_saved_and_restored() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Conv2d(16, 2, 1))
    inputs = torch.randn(4, 2, 16, 8, 8)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
        network(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    config = TrainConfig(optimizer="muon")
    optimizer = build_optimizer(model, config)
    step(model, optimizer, inputs[0])
    twin = copy.deepcopy(model)
    restored = build_optimizer(twin, config)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for x in inputs[1:]:
        step(model, optimizer, x)
        step(twin, restored, x)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
