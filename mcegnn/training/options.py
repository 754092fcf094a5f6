"""Options of a training run, checked before it starts: from a TOML file or a preset, changed by
``key=value``."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    create_model,
    model_validator,
)

from mcegnn.names import nearest, presets
from mcegnn.training.option_errors import in_words, keys_of_others
from mcegnn.training.option_keys import apply_change, put

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Strict(BaseModel):
    """Base class of options: immutable, and other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataOptions(Strict):
    """Which data: the name of a data set or a file, and how many of its systems train and choose
    the best weights; where there is no official split, ``seed`` cuts it."""

    name: str
    n_train: Count | None = None
    n_validation: Count | None = None
    seed: Seed = 0


class TaskOptions(Strict):
    """The learning problem, by its name in `mcegnn.tasks.registry`; each task adds keys."""

    #: keys of the training that the task has in a place of its own
    replaces: ClassVar[Mapping[str, str]] = {}

    kind: str

    @property
    def n_updates(self) -> int | None:
        """Updates by gradient descent, where it is the task's to say."""
        return None

    @property
    def n_final(self) -> int:
        """Updates of another kind that follow these."""
        return 0

    @property
    def betas(self) -> tuple[float, float]:
        """Decays of the optimizer's moments."""
        return 0.9, 0.999

    @property
    def compilable(self) -> bool:
        """Whether a training step can be compiled."""
        return False


class ModelOptions(Strict):
    """The class of `mcegnn.models.store` and its hyper-parameters."""

    kind: str
    hyperparameters: dict[str, Any] = {}


class TrainingOptions(Strict):
    """The whole run. Counts are of updates (optimizer steps); ``patience`` is how many validations
    may pass without a new best (0: any).

    ``ema`` is the decay of the averaged weights that are validated and kept (0: none). ``compile``
    makes C++ of a training step if there is a compiler and the task allows it. ``data`` and
    ``task`` hold the keys of the task: `options_class` gives the class with these.
    """

    data: SerializeAsAny[DataOptions]
    model: ModelOptions
    task: SerializeAsAny[TaskOptions]
    n_updates: Count = 1000
    batch: Count = 100
    lr: Positive = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 100
    weight_decay: NotNegative = 0.0
    clip: Positive = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    validate_every: Count = 100
    patience: Annotated[int, Field(ge=0)] = 0
    seed: Seed = 0
    precision: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    compile: bool = False

    @model_validator(mode="after")
    def _matched(self) -> "TrainingOptions":
        from mcegnn.tasks.registry import check_trains

        check_trains(self.task.kind, self.model.kind, self.model.hyperparameters)
        return self

    @property
    def compiles(self) -> bool:
        """Whether training steps are to be compiled."""
        return self.compile and self.task.compilable and self.device.startswith("cpu")

    @property
    def n_gradient(self) -> int:
        """Updates by gradient descent."""
        return self.task.n_updates or self.n_updates

    @property
    def total(self) -> int:
        """Updates in all, those of the refinement included."""
        return self.n_gradient + self.task.n_final


@cache
def options_class(kind: str) -> type[TrainingOptions]:
    """`TrainingOptions` with the keys of a task. Raises ValueError, naming the nearest, if there is
    no such task, or if keys of it have the names of the trainer's own."""
    from mcegnn.tasks.registry import task

    wanted = task(kind)
    if clashing := sorted(wanted.Options.model_fields.keys() & TrainingOptions.model_fields.keys()):
        raise ValueError(
            f"the task {kind!r} has a key {clashing[0]!r}, which every training has already; give"
            " the task's another name"
        )
    keys: Any = {"data": (wanted.Data, ...), "task": (wanted.Options, ...)}
    return create_model("TrainingOptions", __base__=TrainingOptions, **keys)


def read(
    name: str,
    changes: Sequence[str] = (),
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    started: bool = False,
) -> TrainingOptions:
    """The options of a preset or of a TOML file, with ``changes`` such as "lr=1e-3" or
    "model.hyperparameters.n_channels=5"; a whole number in a key is the place of an element, the
    first at 0: "task.stages.0.lr=1e-3". ``settings`` are further ones, values by their keys.

    If the run is ``started`` from another potential, its sizes hold in place of a preset's. Raises
    FileNotFoundError, with the nearest preset, if there is neither, and ValueError if a key or a
    value is wrong.
    """
    values = _values_of(name)
    if started and name in presets():
        from mcegnn.tasks.registry import task

        if task(values["task"]["kind"]).keeps_sizes:
            values["model"]["hyperparameters"] = {}
    for change in changes:
        apply_change(values, change)
    for key, value in settings.items():
        put(values, key, value)
    options = parse(values)
    for key, place in options.task.replaces.items():
        if key in values:
            raise ValueError(
                f"a task that is {options.task.kind} has {key} of its own; set {place} in its place"
            )
    return options


def _values_of(name: str) -> dict[str, Any]:
    """The values of a preset or of a TOML file."""
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise FileNotFoundError(f"there is no configuration {name}")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{name} is no TOML file: it is not text") from None
    elif name in presets():
        text = (files("mcegnn.presets") / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise FileNotFoundError(
            f"there is no preset {name!r}; did you mean {nearest(name, presets())}? (known:"
            f" {', '.join(presets())})"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is no TOML file: {error}") from None


def parse(values: dict[str, Any]) -> TrainingOptions:
    """Checked options. Raises ValueError, naming the first key that is wrong and the nearest that
    is right, if there is one."""
    kind = _kind(values)
    if kind in RENAMED:
        raise ValueError(f"task.kind: {kind!r} is called {RENAMED[kind]!r} now; change it")
    try:
        wanted = TrainingOptions if kind is None else options_class(kind)
    except ValueError as error:
        raise ValueError(f"task.kind: {error}") from None
    try:
        return wanted.model_validate(values)
    except ValidationError as error:
        raise ValueError(in_words(error, wanted, kind)) from None


def _kind(values: Any) -> str | None:
    """The kind of the task, where values say it."""
    section = values.get("task") if isinstance(values, dict) else None
    kind = section.get("kind") if isinstance(section, dict) else None
    return kind if isinstance(kind, str) else None


def parse_recorded(values: dict[str, Any]) -> TrainingOptions:
    """The options that a model's file or a checkpoint keeps, those of version 0.1 too, which had
    the keys of all tasks in one table."""
    kind = _kind(values)
    if kind is None:
        return parse(values)
    kind = RENAMED.get(kind, kind)
    values = {**values, "task": {**values["task"], "kind": kind}}
    for name in {"task", "data"} & values.keys():
        if isinstance(values[name], dict):
            strange = keys_of_others(kind, name)
            values[name] = {key: it for key, it in values[name].items() if key not in strange}
    return parse(values)


#: kinds of tasks as version 0.1 called them
RENAMED = {"one-shot": "direct"}
