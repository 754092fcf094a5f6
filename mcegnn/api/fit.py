"""`fit`: train a model from Python, as `mcegnn train` does."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mcegnn.api.following import ProgressOption, follow
from mcegnn.api.models import ModelLike, name_of
from mcegnn.api.words import call_of, words_of_python
from mcegnn.names import presets, suggestion

if TYPE_CHECKING:
    from mcegnn.runs.training import TrainingRun
    from mcegnn.runs.training_result import TrainingResult
    from mcegnn.training.options import TrainingOptions

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def fit(
    data: str | Path | None = None,
    preset: str | Path | None = None,
    *,
    output: str | Path | None = None,
    start: ModelLike | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: ProgressOption = None,
    settings: Mapping[str, Any] = _NOTHING,
    **changes: Any,
) -> "TrainingResult":
    """Train a model into the folder ``output``, as `mcegnn train` does.

    ``data`` are the data of the training: a file with energies and forces, or the name of a data
    set ("rmd17:aspirin"), for the ``preset`` "extxyz", "rmd17", "qm9", "charged-mcegnn", ..., or a
    TOML file. A preset that brings its own data is all that is needed: fit("charged-force",
    output="law"). ``start`` is the model to begin from. ``resume`` names the folder of a training
    to continue, bitwise reproducibly. ``progress`` is a function that gets each event of the run
    (`mcegnn.runs.events`), or False to show nothing.

    Further keywords change the option of their name, wherever it stands in the options:
    ``n_updates=20_000``, ``lr=1e-3``, ``n_features=32`` of the model, ``property="gap"`` of the
    task. ``settings`` changes options by their whole key, as --set does on the command line:
    {"data.seed": 1, "task.stages.0.lr": 1e-3}.

    Returns the run's `TrainingResult`: the best ``model``, the ``folder``, the page
    ``report_file``, and ``numbers`` on how good it is; None where there is nothing to train. Raises
    FileExistsError if the folder holds a run already, unless ``overwrite``; FileNotFoundError if a
    file is missing; TypeError, with the name meant, if an option is unknown; ValueError or
    RuntimeError, in one sentence, if options, data and model do not belong together; `RunDiverged`
    if the loss is not finite; KeyboardInterrupt, which says how to resume the training, after
    Ctrl-C.

    >>> model = mcegnn.fit("train.xyz", preset="extxyz", n_updates=20_000, output="mine").model
    """
    with words_of_python():
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        if resume is not None:
            _check_alone(data, preset, output, start, settings, changes)
            return follow(_resumed(Path(resume), threads), progress)
        start_name = None if start is None else name_of(start)
        options = _options(data, preset, {**settings}, changes, start_name is not None)
        if output is None:
            raise ValueError('name the folder of the training: output="mine"')
        from mcegnn.runs.training import TrainingRun

        keywords = {**changes, "settings": dict(settings) or None, "start": start_name}
        run = TrainingRun(
            options,
            output,
            start=start_name,
            threads=threads,
            overwrite=overwrite,
            command=call_of("fit", data, preset, output=output, **keywords),
        )
        return follow(run, progress)


def _options(
    data: str | Path | None,
    preset: str | Path | None,
    settings: dict[str, Any],
    changes: Mapping[str, Any],
    started: bool,
) -> "TrainingOptions":
    """The options of a preset or a file, changed as was asked."""
    from mcegnn.runs.training_options import training_options

    name, own = (data, None) if preset is None else (preset, data)
    if preset is None and data is not None:
        _check_preset(str(data))
    if name is None:
        raise ValueError(
            f"name data and a preset ({', '.join(presets())}), a TOML file, or a folder to resume"
        )
    named = None if own is None else str(own)
    # a preset without the changes says which task and which model it is for
    bare = training_options(str(name), settings=settings, data=named, started=started)
    if not changes:
        return bare
    placed = _placed(changes, bare)
    return training_options(str(name), settings={**settings, **placed}, data=named, started=started)


def _placed(changes: Mapping[str, Any], options: "TrainingOptions") -> dict[str, Any]:
    """The changes by the whole keys of their options. Raises TypeError if there is none."""
    from mcegnn.training.settings import known_settings, places_of

    kind, model = options.task.kind, options.model.kind
    known = known_settings(kind, model)
    for name in changes:
        if "." not in name and name not in known:
            own = (*known, "data", "preset", "output", "start", "resume", "overwrite", "threads")
            raise TypeError(f"fit() has no keyword or option {name!r}; {suggestion(name, own)}")
    return places_of(changes, kind, model)


def _check_preset(name: str) -> None:
    """Raise ValueError if what was named alone is data, and no preset."""
    path = Path(name)
    if name not in presets() and path.suffix != ".toml" and (path.is_file() or ":" in name):
        raise ValueError(
            f"{name} is data; name the preset of the training too, such as"
            f" {'rmd17' if name.startswith('rmd17') else 'extxyz'} (known: {', '.join(presets())},"
            " or a TOML file)"
        )


def _check_alone(*given: Any) -> None:
    """Raise ValueError if something is given beside a folder that is to be resumed."""
    if any(given):
        raise ValueError(
            "resume takes everything from the run's folder; leave out data, preset, output, start"
            " and all settings"
        )


def _resumed(folder: Path, threads: int | None) -> "TrainingRun":
    from mcegnn.runs.training import TrainingRun

    return TrainingRun.of_folder(folder, threads=threads)
