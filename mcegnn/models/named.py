"""Loading of models by name or file, several as a committee.

torch is imported here only when a model is loaded.
"""

import hashlib
import math
from functools import cache
from typing import TYPE_CHECKING

from mcegnn.names import locate

if TYPE_CHECKING:
    from mcegnn.models.model import Model


def load(name: str) -> "Model":
    """Load the model of a shipped name or of a file; its ``role`` says how it is used.

    Raises FileNotFoundError, with the nearest name, if there is none; ValueError if the file is not
    a whole model of mcegnn.
    """
    from mcegnn.models.store import load as stored

    model: Model = stored(name).model
    return model


@cache
def _loaded(path: str, digest: str) -> "Model":
    return load(path)


def load_with_digest(
    names: str, *, warn: float = math.inf, stop: float = math.inf
) -> "tuple[Model, str]":
    """Load the model of a name and the digest of its file; names joined by commas make a committee
    with the limits ``warn`` and ``stop`` (`ModelCommittee`).

    Raises as `load`, and ValueError if the models make no committee.
    """
    parts = [part.strip() for part in names.split(",") if part.strip()]
    if "," not in names:
        return _one(names)
    found = [_one(part) for part in parts]
    if len({digest for _, digest in found}) < len(found) or len(found) < 2:
        raise ValueError(f"{names!r}: a committee is of at least two models, all different")
    from mcegnn.models.committee import ModelCommittee

    committee = ModelCommittee([one for one, _ in found], parts, warn=warn, stop=stop)
    return committee, "-".join(digest[:8] for _, digest in found)


def _one(name: str) -> "tuple[Model, str]":
    path = locate(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return _loaded(str(path), digest), digest
