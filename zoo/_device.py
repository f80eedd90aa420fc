"""What is asked of a GPU, where none of it is the default: the same sums in the same order, and none in TF32."""

import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

NOT_DETERMINISTIC = re.compile(r"(\S+) does not have a deterministic implementation")


def there(name: str) -> torch.device:
    """A device by its name; raises ValueError, one sentence, for a GPU that torch does not find."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {name!r}: torch {torch.__version__} finds no GPU here.")
    return device


def device_name(name: str) -> str:
    """A device with its maker's name, as "cuda, NVIDIA H200"."""
    device = there(name)
    return f"{device.type}, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def check_compiler() -> None:
    """Raises ValueError, one sentence, where torch has no compiler to hand its code to."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise ValueError(f"to compile a fit takes a C++ compiler, and {name!r} is not there; install one, or set CXX.")


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Float32 is float32, and algorithms are deterministic where there are such; what has none is said in one warning.

    The CPU needs nothing of that.
    """
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the process first multiplies matrices
    matrices, algorithms = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True, warn_only=True)
    convolutions = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    try:
        with convolutions, _said_once(device):
            yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch.set_float32_matmul_precision(matrices)


@contextmanager
def _said_once(device: torch.device) -> Iterator[None]:
    """Torch's warnings of operations without a deterministic form as one, after the block; others as they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("once")
        yield
    found = [NOT_DETERMINISTIC.search(str(one.message)) for one in caught]
    for one in (one for one, match in zip(caught, found, strict=True) if not match):
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if names := dict.fromkeys(match[1] for match in found if match):
        warnings.warn(f"on {device.type} without a deterministic form, so that another fit ends with other last bits: "
                      f"{', '.join(names)}", RuntimeWarning, stacklevel=2)  # fmt: skip


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU that nobody uses."""
    return torch.cuda.mem_get_info(device)[0]


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on a device; to a GPU by pinned memory, so that the host goes on while it is copied."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
