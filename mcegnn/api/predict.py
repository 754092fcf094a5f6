"""`predict`: a model's predictions of structures, from Python."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcegnn.api.models import ModelLike, loaded
from mcegnn.api.structures import StructureLike, systems_of
from mcegnn.api.words import words_of_python


class Predicted(NamedTuple):
    """Predictions of a target: ``values`` [n_structures] in ``unit``."""

    values: np.ndarray
    unit: str


def predict(
    model: ModelLike, structures: StructureLike | Sequence[StructureLike]
) -> dict[str, Predicted]:
    """Predict the targets of structures, by name: a potential's "energy" (eV) and "largest force"
    (eV/Angstrom), or the property that a property model was trained on.

    ``model`` is a name, a file or a model. ``structures`` are files (all that one holds, or
    FILE@INDEX), `ase.Atoms` or systems in metal units, one or a list of them.

    Raises FileNotFoundError if a file is missing, and ValueError, naming the structure, if the
    model predicts nothing of structures or is not made for one of them.

    >>> mcegnn.predict("ethanol", "conformers.xyz")["energy"].values
    """
    from mcegnn.prediction import check_structures
    from mcegnn.prediction import predict as predicted

    with words_of_python():
        found = loaded(model)
        name = model if isinstance(model, str) else str(found.file or "the model")
        found.check_verb("predict", name)
        named = systems_of(structures)
        check_structures(found, named)
        values = predicted(found, [system for _, system in named])
    return {name: Predicted(np.asarray(one), unit) for name, (one, unit) in values.items()}
