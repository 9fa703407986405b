"""Hidden layers taken over from an earlier training, while the output layer stays as it was drawn.

Context: a layer's name in a checkpoint depends on all layers before it, with weights or without: dropout shifts the
names behind it. Choice: layers correspond by their order, and each must fit, or nothing is taken over. Cost: both
networks must be of one kind and equally deep. Activations and strides have no weights and stay the network's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.checks import require

PREFIX = "network."  # of the network's tensors in a Classifier's checkpoint
WANTED = "give a checkpoint that the training of a Classifier wrote"


@dataclass(frozen=True, slots=True)
class Layer:
    """The tensors that one module holds itself (`weight`, `bias`, …), and the module's name in its network."""

    name: str
    tensors: dict[str, Tensor]


def require_hidden_layers(network: nn.Module) -> None:
    """Raise ValueError unless the network has an output_layer and at least one other layer."""
    remedy = "give it an attribute output_layer: init_from does not take that module over"
    require(_output_name(network) is not None, key="network", value=type(network).__name__, remedy=remedy)
    n_hidden = len(_hidden_layers(network))
    remedy = "with init_from, give the network one or more, for there is nothing to take over"
    require(n_hidden >= 1, key="hidden layers", value=n_hidden, remedy=remedy)


def freeze_hidden_layers(network: nn.Module) -> None:
    """Exclude all parameters from training except those of the output layer."""
    output = _output_name(network)
    for name, parameter in network.named_parameters():
        if not _is_within(name, output):
            parameter.requires_grad_(False)


def hold_statistics(network: nn.Module) -> None:
    """Put hidden modules with running statistics, such as batch normalisation, into evaluation mode.

    Dropout goes on as elsewhere, as it holds no state that training could change.
    """
    output = _output_name(network)
    for name, module in network.named_modules():
        if not _is_within(name, output) and any(True for _ in module.buffers(recurse=False)):
            module.eval()


def take_over_hidden_layers(network: nn.Module, *, path: Path) -> None:
    """Copy every hidden layer of the Classifier's checkpoint at this path into the network, in place.

    Only tensors and plain values are unpickled, and no random number is drawn. Raises ValueError, and leaves the
    network as it is, if the file cannot be read, if the numbers of layers differ, or if any tensor has another shape or
    holds a number that is not finite.
    """
    state = network.state_dict()
    here, there = _layers(state), _layers(_read(path))
    counts = f"has {len(there)} layers of weights and the network {len(here)}, their output layers included"
    _require(len(there) == len(here), path, f"{counts}: give the network as many as it had there (n_layers)")
    output = _output_name(network)
    pairs = [pair for pair in zip(there, here, strict=True) if not _is_within(pair[1].name, output)]
    _require_fit(pairs, path)
    for taken, own in pairs:
        state |= {_key(own, part): tensor for part, tensor in taken.tensors.items()}
    network.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"init_from is {str(path)!r}: cannot be read ({error.strerror or error}); {WANTED}") from error
    except Exception as error:  # torch's error for a file of another kind depends on its first bytes
        complaint = "is no checkpoint, or holds more than tensors and plain values"
        raise ValueError(f"init_from is {str(path)!r}: {complaint}; {WANTED}") from error
    state: Any = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    tensors = state.items() if isinstance(state, Mapping) else ()
    own = {key.removeprefix(PREFIX): tensor for key, tensor in tensors if str(key).startswith(PREFIX)}
    sound = bool(own) and all(isinstance(tensor, Tensor) for tensor in own.values())
    _require(sound, path, f"holds no weights of a network ({PREFIX}…); {WANTED}")
    return own


def _require_fit(pairs: list[tuple[Layer, Layer]], path: Path) -> None:
    """Raise one ValueError that lists all differences."""
    differing = [
        f"{own.name} has {_shapes(taken)} there and {_shapes(own)} here"
        for taken, own in pairs
        if _shapes(taken) != _shapes(own)
    ]
    remedy = (
        "give the network the layers that it had there (width, kernel_size, …)"
        " and, if the images differ, resize them to one shape (image_shape of the data)"
    )
    _require(not differing, path, f"{'; '.join(differing)}: {remedy}")
    broken = [own.name for taken, own in pairs if not all(part.isfinite().all() for part in taken.tensors.values())]
    remedy = "give a checkpoint of a training that did not diverge"
    _require(not broken, path, f"holds numbers that are not finite in {', '.join(broken)}: {remedy}")


def _require(condition: bool, path: Path, complaint: str) -> None:
    require(condition, key="init_from", value=str(path), remedy=complaint)


def _shapes(layer: Layer) -> str:
    return ", ".join(f"{part} {tuple(tensor.shape)}" for part, tensor in sorted(layer.tensors.items()))


def _layers(state: Mapping[str, Tensor]) -> list[Layer]:
    """Return the layers of a state_dict, in its order, which is that of the modules."""
    layers: dict[str, Layer] = {}
    for key, tensor in state.items():
        name, _, part = key.rpartition(".")
        layers.setdefault(name, Layer(name, {})).tensors[part] = tensor
    return list(layers.values())


def _hidden_layers(network: nn.Module) -> list[Layer]:
    output = _output_name(network)
    return [layer for layer in _layers(network.state_dict()) if not _is_within(layer.name, output)]


def _key(layer: Layer, part: str) -> str:
    return f"{layer.name}.{part}" if layer.name else part


def _output_name(network: nn.Module) -> str | None:
    output = getattr(network, "output_layer", None)
    return next((name for name, module in network.named_modules() if module is output and name), None)


def _is_within(name: str, output: str | None) -> bool:
    return output is not None and f"{name}.".startswith(f"{output}.")
