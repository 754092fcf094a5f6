"""What a training run is made of, checked before anything starts: from a TOML file or a preset,
changed by ``key=value``."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, get_args

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

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Strict(BaseModel):
    """Options that cannot be changed, of which no other keys are accepted."""

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

        check_trains(self.task.kind, self.model.kind)
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
    return create_model(
        "TrainingOptions",
        __base__=TrainingOptions,
        data=(wanted.Data, ...),
        task=(wanted.Options, ...),
    )


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

    Where the run is ``started`` from another potential, that one's sizes hold in place of a
    preset's. Raises FileNotFoundError, with the nearest preset, where there is neither, and
    ValueError where a key or a value is wrong.
    """
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
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is no TOML file: {error}") from None
    if started and name in presets():
        from mcegnn.tasks.registry import task

        if task(values["task"]["kind"]).keeps_sizes:
            values["model"]["hyperparameters"] = {}
    for change in changes:
        _set(values, change)
    for key, value in settings.items():
        put(values, key, value)
    options = parse(values)
    for key, place in options.task.replaces.items():
        if key in values:
            raise ValueError(
                f"a task that is {options.task.kind} has {key} of its own; set {place} in its place"
            )
    return options


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
        raise ValueError(_in_words(error, wanted, kind)) from None


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
            strange = _of_others(kind, name)
            table = {key: value for key, value in values[name].items() if key not in strange}
            values[name] = table
    return parse(values)


#: kinds of tasks as version 0.1 called them
RENAMED = {"one-shot": "direct"}


def _of_others(kind: str, table: str) -> dict[str, list[str]]:
    """Keys of a table, "task" or "data", that a task has not, and the kinds of those that have."""
    from mcegnn.tasks.registry import TASKS

    own = _fields(options_class(kind), [table])
    found: dict[str, list[str]] = {}
    for other in TASKS:
        for key in _fields(options_class(other), [table]):
            if key not in own:
                found.setdefault(key, []).append(other)
    return found


def _in_words(error: ValidationError, options: type[TrainingOptions], kind: str | None) -> str:
    """The first mistake, in a sentence; without a kind of task first what is wrong whichever."""
    mistakes = error.errors()
    first = mistakes[0]
    if kind is None:
        first = next((one for one in mistakes if one["type"] != "extra_forbidden"), first)
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        table, key = str(first["loc"][0]), str(first["loc"][-1])
        if kind is not None and len(first["loc"]) == 2 and table in ("task", "data"):
            others = _of_others(kind, table).get(key)
            if others:
                return (
                    f"a task that is {kind} has no key {where!r}, which is of one that is"
                    f" {' or '.join(others)}; leave it out"
                )
        known = _fields(options, first["loc"][:-1])
        return f"there is no key {where!r}; did you mean {nearest(str(first['loc'][-1]), known)}?"
    simple = first["type"] != "missing" and not isinstance(first["input"], dict)
    given = f" (given: {first['input']!r})" if simple else ""
    message = first["msg"].removeprefix("Value error, ")
    message = message.replace("valid tuple", "list, such as [1, 2]")
    return f"{where or 'the configuration'}: {message}{given}"[:300]


def _fields(options: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the fields at a place in the options."""
    for part in location:
        if isinstance(part, str):
            options = next(_models(options.model_fields[part].annotation))
    return list(options.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of options in a field's type, such as those of a tuple's elements."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _set(values: dict[str, Any], change: str) -> None:
    """Put one ``key=value`` into nested values; the value is read as TOML, and as text where it is
    none."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--set takes key=value, such as lr=1e-3, not {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except RecursionError:
        raise ValueError(f"--set {key} nests too deeply") from None
    if value == "none":  # TOML has no word for it
        value = None
    try:
        put(values, key.strip(), value)
    except ValueError as error:
        raise ValueError(" ".join(f"--set {change}: {error}".split())) from None


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into nested values, at a key such as "task.stages.0.lr". Raises ValueError if
    there is no such place."""
    *outer, last = key.split(".")
    inner: Any = values
    for k, name in enumerate(outer):
        place = _place(inner, outer[:k], name)
        inner = inner.setdefault(place, {}) if isinstance(inner, dict) else inner[place]
    inner[_place(inner, outer, last)] = value


def _place(inner: Any, path: Sequence[str], name: str) -> str | int:
    """The key of a table, or the index of a list's element; ValueError where ``inner``, which is at
    ``path``, has no such place."""
    where = ".".join(path)
    if isinstance(inner, list):
        if name not in map(str, range(len(inner))):
            known = f"its elements are 0 to {len(inner) - 1}" if inner else "it is empty"
            raise ValueError(f"{where} is a list, and {name!r} is none of its elements; {known}")
        return int(name)
    if not isinstance(inner, dict):
        raise ValueError(f"{where} holds a value, not further keys")
    if name.isdecimal():
        raise ValueError(
            f"{where or 'the configuration'} holds no list, so it has no element {name}"
        )
    return name
