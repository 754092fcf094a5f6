"""From a request for a training to its options."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mcegnn.names import presets
from mcegnn.training.options import TrainingOptions, read


def training_options(
    preset: str | None,
    changes: Sequence[str] = (),
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    data: str | None = None,
    started: bool = False,
) -> TrainingOptions:
    """The options of a preset or a TOML file, with ``changes`` as texts, key=value, and
    ``settings`` as values by their key. Raises as `mcegnn.training.options.read`."""
    if preset is None:
        raise ValueError(
            f"name a preset ({', '.join(presets())}), a TOML file, or a folder to --resume"
        )
    named = {} if data is None else {"data.name": data}
    return read(preset, changes, settings={**settings, **named}, started=started)
