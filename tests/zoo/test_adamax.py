"""Adamax in one pass: torch's own weights, to the last bit."""

import copy

import pytest
import torch

from zoo._adamax import Adamax

SIZES = (1, 7, 64, 1000, 70_001)  # about and beyond the width of a processor's registers


def _stepped(kind: type, dtype: torch.dtype = torch.float32, n_steps: int = 6) -> tuple[list, dict]:
    torch.manual_seed(3)
    weights = [torch.nn.Parameter(torch.randn(n, dtype=dtype)) for n in SIZES]
    groups = [{"params": weights[:2], "lr": 0.5}, {"params": weights[2:], "betas": (0.7, 0.99)}]
    optimizer = kind(groups, lr=0.01)
    for number in range(n_steps):
        for weight in weights:
            scale = 10.0 ** torch.randint(-12, 3, weight.shape)
            weight.grad = torch.randn_like(weight) * scale * (torch.rand_like(weight) > 0.2)  # zeros, too
        weights[number % 5].grad = None  # as of a layer that a loss does not reach
        optimizer.step()
    return weights, optimizer.state_dict()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_and_state_are_those_of_torch(dtype):
    weights, state = _stepped(Adamax, dtype)
    plain, plain_state = _stepped(torch.optim.Adamax, dtype)
    assert all(torch.equal(one, other) for one, other in zip(weights, plain, strict=True))
    assert state["param_groups"] == plain_state["param_groups"]
    for number, of_torch in plain_state["state"].items():
        assert of_torch.keys() == state["state"][number].keys()
        assert all(torch.equal(of_torch[key], state["state"][number][key]) for key in of_torch)


def test_it_goes_on_from_a_state_of_torch():
    weights, state = _stepped(torch.optim.Adamax, n_steps=3)
    copies = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    both = []
    for kind, some in ((torch.optim.Adamax, weights), (Adamax, copies)):
        optimizer = kind([{"params": some[:2]}, {"params": some[2:]}])
        optimizer.load_state_dict(copy.deepcopy(state))
        for weight in some:
            weight.grad = torch.linspace(-1, 1, weight.numel())
        optimizer.step()
        both.append(some)
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


def test_a_gradient_that_is_no_number_stays_one():
    for kind in (Adamax, torch.optim.Adamax):
        weight = torch.nn.Parameter(torch.ones(40))
        weight.grad = torch.full((40,), torch.nan)
        kind([weight]).step()
        assert torch.isnan(weight).all()
