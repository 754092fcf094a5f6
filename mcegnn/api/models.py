"""Load models by name or path, save them, and find the name by which a run can refer to one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.api.words import call_of, words_of_python
from mcegnn.names import locate, shipped

if TYPE_CHECKING:
    from mcegnn.models.model import Model

ModelLike = Any  # a name, a path, a model, or several of them: a committee


def load(name: str | Path) -> "Model":
    """Load a model: by the name of one that comes with the package, or from a file.

    A `ConservativePotential` and a `LearnedForce` act on a system (``model(system)`` gives energy
    and forces), a `DirectDynamics` moves it, a `PropertyModel` predicts numbers of it (`predict`).
    ``model.calculator()`` is a calculator for ASE.

    Raises FileNotFoundError, with the nearest name, if there is no such model, and ValueError if
    the file is no whole model of ours.

    >>> mcegnn.load("ethanol").calculator()
    """
    with words_of_python():
        return loaded(name)


def loaded(model: Any) -> "Model":
    """Return a model as it is, or load that of a name or a path."""
    from mcegnn.models.model import Model
    from mcegnn.models.store import load as stored

    if isinstance(model, Model):
        return model
    if not isinstance(model, str | Path):
        raise TypeError(f"a model is a name, a path or a model, not a {type(model).__name__}")
    found: Model = stored(model).model
    return found


def save(model: "Model", path: str | Path, *, overwrite: bool = False) -> None:
    """Save a loaded model, with its weights as they are now, to a file for `load`, `simulate` and
    the command line.

    Raises FileExistsError if the file exists, unless ``overwrite``, and ValueError if the model was
    not loaded: `mcegnn.models.store` saves one that was made in memory, with its
    hyper-parameters.

    >>> mcegnn.save(model, "mine.safetensors")
    """
    from dataclasses import replace

    from mcegnn.models import store
    from mcegnn.runs.outputs import check_output

    with words_of_python():
        if model.file is None:
            raise ValueError(
                f"this {type(model).__name__} was made in memory; mcegnn.models.store.save takes it"
                " with its hyper-parameters"
            )
        check_output(Path(path), overwrite)
        was = store.load(model.file)
        record = {name: value for name, value in was.record.items() if name != "validation"}
        record |= {"command": call_of("save", path), "from": was.record}
        store.save(replace(was, model=model, record=record), path)
        model.file = Path(path).absolute()


def name_of(model: ModelLike) -> str:
    """Name by which a run refers to a model: its name or file; of several, joined by commas.

    A run keeps the name of a model's file and the digest of its contents, so that it can be resumed
    later and elsewhere. So a model in memory must have been loaded from a file, and must still be
    what that file holds. Raises ValueError if it is not.
    """
    from mcegnn.models.model import Model

    if isinstance(model, str | Path):
        return str(model)
    if isinstance(model, Sequence):
        return ",".join(name_of(one) for one in model)
    if not isinstance(model, Model):
        raise TypeError(f"model is a name, a path or a model, not a {type(model).__name__}")
    kind = type(model).__name__
    if model.file is None:
        raise ValueError(
            f"this {kind} was made in memory, and a run needs a model's file to go on later; save"
            " it with its hyper-parameters (mcegnn.models.store.save) and name the file, or move"
            " the system by mcegnn.rollout"
        )
    if not model.file.is_file():
        raise FileNotFoundError(f"the file {model.file} of this {kind} is gone; put it back")
    if not _same_weights(model, model.file):
        raise ValueError(
            f"this {kind} has other weights than {model.file}, from which it was loaded; save it"
            ' first: mcegnn.save(model, "mine.safetensors")'
        )
    name = model.file.stem
    return name if name in shipped() and locate(name) == model.file else str(model.file)


def _same_weights(model: "Model", file: Path) -> bool:
    import torch

    from mcegnn.models.store import load as stored

    kept = stored(file).model.state_dict()
    now = model.state_dict()
    return kept.keys() == now.keys() and all(torch.equal(kept[k], now[k].cpu()) for k in kept)
