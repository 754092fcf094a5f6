"""What Python users are told: sentences with keywords in place of options, and how far a run is."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console

import mcegnn.api.following
from mcegnn.api.following import follow
from mcegnn.api.words import call_of, in_python, words_of_python
from mcegnn.runs.errors import RunDiverged
from mcegnn.runs.events import Described, Finished, Noted, Progress, Started, Stopped, Warned


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ('give --temperature "300 K" to draw', 'give temperature="300 K" to draw'),
        ("--temperature '300' has no unit", "temperature='300' has no unit"),
        ("take --ensemble nvt, which", 'take ensemble="nvt", which'),
        ("--integrator yoshida-8 conserves it", 'integrator="yoshida-8" conserves it'),
        ("take another --integrator with it", "take another integrator with it"),
        ("use --steps 6 or another --every", "use steps=6 or another every"),
        ("add --steps N, or leave", "add steps=N, or leave"),
        ("--dt 0.05; then", "dt=0.05; then"),
        ("(--relax), or say --min-distance off", '(relax=True), or say min_distance="off"'),
        ("leave out --flexible", "leave out flexible=True"),
        ("--model A,B,C", 'model="A,B,C"'),
        ("--potential MODULE:FACTORY", "potential=MODULE:FACTORY"),
        ("--epoch 1500-01-01 is read", "epoch=1500-01-01 is read"),
        ("overwrite it with --force", "overwrite it with overwrite=True"),
        ("train --from another", "train start another"),
        ("name another with -o", "name another as output"),
        ("take them in with --all-frames", "take them in with all_frames=True"),
        (
            "go on with: mcegnn rollout --resume 'a b.h5md'",
            "go on with: mcegnn.simulate(resume='a b.h5md')",
        ),
        (
            "mcegnn rollout --resume ./-x.h5md --max-energy-jump off",
            "mcegnn.simulate(resume='./-x.h5md', max_energy_jump=\"off\")",
        ),
        ("with: mcegnn train --resume mine", "with: mcegnn.fit(resume='mine')"),
        ("a--b and x-o stay, as does /tmp/--a", "a--b and x-o stay, as does /tmp/--a"),
    ],
)
def test_a_sentence_has_keywords_in_place_of_options(told: str, wanted: str) -> None:
    assert in_python(told) == wanted


def test_errors_keep_their_kind() -> None:
    with pytest.raises(FileExistsError) as raised, words_of_python():
        raise FileExistsError(17, "File exists", "run.h5md")
    assert str(raised.value) == (
        "run.h5md exists already; choose another name or overwrite it with overwrite=True"
    )
    denied = r"^a cannot be written or read: permission denied$"
    with pytest.raises(PermissionError, match=denied), words_of_python():
        raise PermissionError(13, "Permission denied", "a")
    with pytest.raises(RunDiverged) as diverged, words_of_python():
        raise RunDiverged("--dt 3", ("--every 2",))
    assert str(diverged.value) == "dt=3\nevery=2"
    with pytest.raises(KeyError), words_of_python():
        raise KeyError("--a mistake of ours")


def test_a_call_is_spelled_as_one_would_type_it() -> None:
    assert call_of("simulate", "a.xyz", None, steps=3, model=None, dt="1 fs") == (
        "mcegnn.simulate('a.xyz', steps=3, dt='1 fs')"
    )


class Slow:
    """A run with a part whose length is known, and one whose is not."""

    def __init__(self, last: Any) -> None:
        self.last = last

    def __iter__(self) -> Iterator[Any]:
        yield Started("loading", 0, "")
        yield Started("rolling out", 10, "steps", done=2)
        yield Described("a table", (("row", "value"),))
        yield Noted("a note")
        for k in (4, 6, 8):
            yield Progress(k, 10, "steps", "rolling out <b>")
        yield self.last

    def stop(self) -> None:
        """Never asked."""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits until something is shown."""
    monkeypatch.setattr(mcegnn.api.following, "_FIRST_SECONDS", -1.0)
    monkeypatch.setattr(mcegnn.api.following, "_EACH_SECONDS", -1.0)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook shows, line by line; every update is one."""
    lines: list[str] = []

    class Handle:
        def update(self, what: Any) -> None:
            lines.append(what.data)

    def display(what: Any, display_id: bool) -> Handle:
        lines.append(what.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    plain = Console.__init__

    def init(self: Console, *arguments: Any, **more: Any) -> None:
        plain(self, *arguments, **more)
        self.is_jupyter = True

    monkeypatch.setattr(Console, "__init__", init)
    return lines


def test_a_notebook_shows_a_line_that_is_gone_at_the_end(
    shown: list[str], at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(Slow(Finished("all"))) == "all"
    assert "rolling out &lt;b&gt;: 4 of 10 steps, about 0 seconds left" in shown[0]
    assert '<progress value="8" max="10">' in shown[-2]
    assert shown[-1] == ""
    assert capsys.readouterr().out == "a table\nrow  value\na note\n"


def test_what_is_over_at_once_shows_nothing(shown: list[str]) -> None:
    follow(Slow(Finished(None)))
    assert shown == []
    follow(Slow(Finished(None)), progress=False)
    assert shown == []


def test_a_terminal_shows_a_bar_and_lines(monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    terminal = mcegnn.api.following._Terminal(console)
    monkeypatch.setattr(mcegnn.api.following, "_display", lambda progress: terminal)
    assert follow(Slow(Finished("all"))) == "all"
    assert "a note" in screen.getvalue()
    assert "row" in screen.getvalue()
    assert terminal._bar is None


def test_elsewhere_nothing_is_shown(capfd: pytest.CaptureFixture[str], at_once: None) -> None:
    assert not InteractiveShell.initialized()
    follow(Slow(Finished(None)))
    assert capfd.readouterr() == ("", "")


def test_a_stop_is_an_interrupt_with_the_call_that_goes_on() -> None:
    stop = Stopped("stopped; go on with: mcegnn rollout --resume run.h5md", 2)
    with pytest.raises(KeyboardInterrupt, match=r"go on with: mcegnn.simulate\(resume='run.h5md'"):
        follow(Slow(stop))


def test_warnings_are_pythons() -> None:
    class Warning(Slow):
        def __iter__(self) -> Iterator[Any]:
            yield Warned("use --dt 3")
            yield self.last

    with pytest.warns(mcegnn.RunWarning, match="use dt=3"):
        follow(Warning(Finished(None)))
