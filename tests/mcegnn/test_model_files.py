"""Model files: everything comes back to the bit; what is no whole model of ours is refused in one
sentence and never unpickled."""

import json
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mcegnn import names
from mcegnn.models import store
from mcegnn.models.registry import MODELS
from mcegnn.models.store import Stored

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamics": (
        "DirectDynamics",
        {"n_features": 8, "n_channels": 2, "n_layers": 2, "interval": 0.5},
    ),
    "dynamics by masses": (
        "DirectDynamics",
        {"n_features": 8, "n_layers": 2, "inputs": "masses", "units": "astronomical"},
    ),
    "force": ("LearnedForce", {"n_features": 8, "limit": 100.0}),
    "force without limit": ("LearnedForce", {"n_features": 8, "limit": float("inf")}),
    "force of learned masses": (
        "LearnedForce",
        {"n_features": 8, "coupling": "masses", "n_masses": 3, "units": "astronomical"},
    ),
}
RECORD = {
    "options": {"lr": 1e-3, "data": {"name": "charged", "without": []}},
    "validation": 0.1 + 0.2,
    "data": "20 samples, ab12 µ",
}


def make(kind: str = "force", dtype: torch.dtype = torch.float32) -> Stored:
    """A model whose weights are all other than what they begin with."""
    name, hyperparameters = KINDS[kind]
    stored = Stored.make(name, hyperparameters, RECORD)
    stored.model.to(dtype)
    stream = torch.Generator().manual_seed(0)
    for weight in stored.model.parameters():
        weight.data = torch.randn(weight.shape, generator=stream, dtype=dtype)
    return stored


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    stored = make(kind, dtype)
    store.save(stored, tmp_path / "model.safetensors")
    back = store.load(tmp_path / "model.safetensors")
    assert type(back.model) is type(stored.model)
    assert (back.kind, back.hyperparameters, back.record) == (
        stored.kind,
        stored.hyperparameters,
        RECORD,
    )
    ours, theirs = stored.model.state_dict(), back.model.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert theirs[name].dtype == dtype
        assert theirs[name].numpy().tobytes() == tensor.numpy().tobytes()
    # what is no weight comes from the hyper-parameters
    for name in {"interval", "inputs", "units", "coupling", "limit"} & vars(stored.model).keys():
        assert getattr(back.model, name) == getattr(stored.model, name)


def test_a_loaded_model_does_not_learn(tmp_path: Path) -> None:
    store.save(make(), tmp_path / "model.safetensors")
    model = store.load(tmp_path / "model.safetensors").model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def test_saving_again_gives_the_same_file(tmp_path: Path) -> None:
    store.save(make(), tmp_path / "a.safetensors")
    store.save(store.load(tmp_path / "a.safetensors"), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    store.save(make(), path)
    return path


@pytest.fixture
def refused(saved: Path) -> Callable[..., None]:
    """``saved`` has become what cannot be loaded: one sentence that names it, and nothing but
    ValueError."""

    def check(words: str = "") -> None:
        with pytest.raises(ValueError, match="is not a model of ours, or a damaged one") as told:
            store.load(saved)
        text = str(told.value)
        assert text.startswith(str(saved))
        assert "\n" not in text
        assert len(text) < 400 + len(str(saved))
        assert words in text

    return check


def test_cut_anywhere(saved: Path, refused: Callable[..., None]) -> None:
    whole = saved.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 50):
        saved.write_bytes(whole[:at])
        refused()


def test_bytes_too_many(saved: Path, refused: Callable[..., None]) -> None:
    saved.write_bytes(saved.read_bytes() + b"more")
    refused()


def test_flipped_bytes_of_the_header(saved: Path) -> None:
    """Whatever is in the header, it is refused by ValueError or the weights are what they were."""
    whole = saved.read_bytes()
    weights = {
        name: tensor.numpy().tobytes()
        for name, tensor in store.load(saved).model.state_dict().items()
    }
    (length,) = struct.unpack("<Q", whole[:8])
    stream = np.random.default_rng(0)
    said = []
    for at in [*range(8), *stream.integers(8, 8 + length, 150)]:
        torn = bytearray(whole)
        torn[at] ^= int(stream.choice([1, 2, 4, 8, 16, 32, 64, 128, 255]))
        saved.write_bytes(torn)
        try:
            loaded = store.load(saved)
        except ValueError as error:
            said.append(str(error))
        else:
            assert {
                name: tensor.numpy().tobytes() for name, tensor in loaded.model.state_dict().items()
            } == weights
    assert len(said) > 50
    assert "\n" not in "".join(said)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("torch_file", [True, False])
def test_a_pickle_is_not_opened(
    tmp_path: Path, saved: Path, refused: Callable[..., None], torch_file: bool
) -> None:
    if torch_file:
        torch.save(Bomb(tmp_path / "burst"), saved)
    else:
        saved.write_bytes(pickle.dumps(Bomb(tmp_path / "burst")))
    refused()
    assert not (tmp_path / "burst").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"weights\n", b"lr = 1e-3\n" * 100, b"{}", b"\xff" * 64, b"\0" * 64]
)
def test_other_files(saved: Path, refused: Callable[..., None], content: bytes) -> None:
    saved.write_bytes(content)
    refused()


def rewrite(
    path: Path,
    header: Any = None,
    change: Callable[[dict[str, torch.Tensor]], Any] = lambda weights: None,
) -> None:
    """The same weights, changed, under this header; a header of text is kept as it is, None keeps
    the one that was there."""
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a handle, not a dict)
    change(weights)
    text = (
        metadata["mcegnn"]
        if header is None
        else header
        if isinstance(header, str)
        else json.dumps(header)
    )
    save_file(weights, str(path), {"mcegnn": text})


def header_of(path: Path) -> dict[str, Any]:
    """Without its checksum, which would refuse any change by itself."""
    with safe_open(str(path), "pt") as file:
        header = dict(json.loads(file.metadata()["mcegnn"]))
    del header["checksum"]
    return header


def test_a_header_of_ours_is_taken(saved: Path) -> None:
    """That what follows is refused for what is changed, and not for how it is changed."""
    rewrite(saved, header_of(saved))
    assert store.load(saved).record == RECORD


def test_weights_without_our_header(saved: Path, refused: Callable[..., None]) -> None:
    save_file({"size": torch.zeros(())}, str(saved))
    refused()
    save_file({"size": torch.zeros(())}, str(saved), {"format": "pt"})
    refused()


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", '"model"', "{}", "[" * 100_000])
def test_a_header_that_is_no_table(saved: Path, refused: Callable[..., None], text: str) -> None:
    rewrite(saved, text)
    refused()


@pytest.mark.parametrize("key", ["format", "class", "hyperparameters", "record"])
def test_a_missing_key(saved: Path, refused: Callable[..., None], key: str) -> None:
    rewrite(saved, {name: value for name, value in header_of(saved).items() if name != key})
    refused(key)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "newer format": ({"format": 2}, "format is 2"),
    "format in words": ({"format": "1"}, "format is '1'"),
    "no format": ({"format": None}, "format is None"),
    "unknown class": ({"class": "LernedForce"}, "did you mean LearnedForce?"),
    "class of torch": ({"class": "torch.nn.Linear"}, "there is no model 'torch.nn.Linear'"),
    "class is no name": ({"class": 3}, ""),
    "class is a list": ({"class": ["LearnedForce"]}, ""),
    "another class": ({"class": "DirectDynamics"}, ""),
    "hyper-parameters that are none": ({"hyperparameters": [8]}, ""),
    "unknown hyper-parameter": (
        {"hyperparameters": {"n_features": 8, "n_fetaures": 8}},
        "n_fetaures",
    ),
    "other width": ({"hyperparameters": {"n_features": 9}}, ""),
    "width in words": ({"hyperparameters": {"n_features": "8"}}, ""),
    "negative width": ({"hyperparameters": {"n_features": -8}}, ""),
    "unknown units": ({"hyperparameters": {"n_features": 8, "units": "imperial"}}, "imperial"),
    "unknown coupling": ({"hyperparameters": {"n_features": 8, "coupling": "colours"}}, "colours"),
    "limit in words": ({"hyperparameters": {"n_features": 8, "limit": "hundred"}}, ""),
    "negative limit": ({"hyperparameters": {"n_features": 8, "limit": -1.0}}, ""),
    "limit is no number": ({"hyperparameters": {"n_features": 8, "limit": float("nan")}}, ""),
    "record is none": ({"record": 3}, ""),
    "record is a text": ({"record": "good"}, ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_header(saved: Path, refused: Callable[..., None], wrong: str) -> None:
    change, words = WRONG[wrong]
    rewrite(saved, header_of(saved) | change)
    refused(words)


@pytest.mark.parametrize(
    "change",
    [
        {"interval": "one"},
        {"interval": 0.0},
        {"interval": -1.0},
        {"interval": float("nan")},
        {"length": 0.0},
        {"length": "one"},
        {"clamp": "none such"},
        {"inputs": "colours"},
        {"n_layers": 1},
        {"n_layers": 2.0},
        {"units": 3},
    ],
)
def test_a_wrong_hyperparameter_of_dynamics(
    saved: Path, refused: Callable[..., None], change: dict[str, Any]
) -> None:
    store.save(make("dynamics"), saved)
    header = header_of(saved)
    rewrite(saved, header | {"hyperparameters": header["hyperparameters"] | change})
    refused()


WEIGHTS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "missing": lambda w: w.pop("exponent.0.weight"),
    "all missing": lambda w: w.clear(),
    "extra": lambda w: w.update(more=torch.zeros(3)),
    "renamed": lambda w: w.update(sise=w.pop("size")),
    "transposed": lambda w: w.update({"exponent.0.weight": w["exponent.0.weight"].T.contiguous()}),
    "wider": lambda w: w.update({"exponent.0.bias": torch.zeros(9)}),
    "a number more": lambda w: w.update(size=torch.zeros(1)),
    "whole numbers": lambda w: w.update(
        {name: tensor.to(torch.int64) for name, tensor in w.items()}
    ),
    "one of whole numbers": lambda w: w.update(size=torch.zeros((), dtype=torch.int64)),
    "one in double": lambda w: w.update(size=w["size"].double()),
    "one in half": lambda w: w.update({"exponent.0.weight": w["exponent.0.weight"].half()}),
    "one of bytes": lambda w: w.update({"exponent.4.bias": torch.zeros(1, dtype=torch.uint8)}),
}


@pytest.mark.parametrize("wrong", WEIGHTS)
def test_wrong_weights(saved: Path, refused: Callable[..., None], wrong: str) -> None:
    """A weight in another precision than the others would be changed by being loaded."""
    rewrite(saved, change=WEIGHTS[wrong])
    refused()


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"is a folder; name the model file in it, such as .*best\.safetensors",
    ):
        store.load(tmp_path)


@pytest.mark.parametrize("name", ["charged-mcegn", "zzz", "none/best.safetensors", "ü"])
def test_an_unknown_name(name: str) -> None:
    """Whether models are shipped or not."""
    with pytest.raises(FileNotFoundError, match=f"there is no model {name}") as told:
        store.load(name)
    assert "\n" not in str(told.value)
    # what looks like a path is no name
    assert any(f"did you mean {near}" in str(told.value) for near in names.shipped()) == (
        "/" not in name
    )


@pytest.mark.parametrize(
    ("name", "near"), [("charged-mcegn", "charged-mcegnn"), ("chraged-force", "charged-force")]
)
def test_the_nearest_shipped_name(monkeypatch: pytest.MonkeyPatch, name: str, near: str) -> None:
    monkeypatch.setattr(names, "shipped", lambda: ["charged-force", "charged-mcegnn"])
    with pytest.raises(FileNotFoundError, match=f"did you mean {near}"):
        store.load(name)


def test_no_model_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "shipped", list)
    with pytest.raises(FileNotFoundError, match="there is no model mine"):
        store.load("mine")


def test_shipped_models_load() -> None:
    for name in names.shipped():
        assert store.load(name).kind in MODELS


def test_an_unknown_class() -> None:
    with pytest.raises(
        ValueError, match=r"there is no model .DirectDynamic.; did you mean DirectDynamics\?"
    ):
        Stored.make("DirectDynamic", {})
    with pytest.raises(
        ValueError,
        match=r"DirectDynamics has no hyper-parameter 'n_chanels'; did you mean n_channels\?",
    ):
        Stored.make("DirectDynamics", {"n_chanels": 3})


def test_a_flipped_byte(saved: Path) -> None:
    """Of every ninth byte: refused, or of no consequence."""
    whole, good = saved.read_bytes(), store.load(saved)
    n_refused = 0
    for k in range(0, len(whole), 9):
        content = bytearray(whole)
        content[k] ^= 1 << k % 8
        saved.write_bytes(content)
        found = None
        with suppress(ValueError):
            found = store.load(saved)
        if found is None:
            n_refused += 1
            continue
        assert (found.hyperparameters, found.record) == (good.hyperparameters, good.record), k
        for name, tensor in good.model.state_dict().items():
            assert found.model.state_dict()[name].numpy().tobytes() == tensor.numpy().tobytes(), k
    assert n_refused > 0.9 * len(range(0, len(whole), 9))


def test_files_of_before_there_were_checksums(saved: Path) -> None:
    rewrite(saved, header_of(saved))
    assert store.load(saved).record == RECORD
