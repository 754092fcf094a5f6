"""The page: HTML around a run's scene, numbers and figures; everything is in it, so it opens
without a network."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from trajectories.analysis.draw import svg_of
from trajectories.analysis.guard import left_out
from trajectories.analysis.results import Analysis, Curves

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
Rows = Sequence[tuple[str, ...]]
Told = Callable[[str, float], None]


@dataclass(frozen=True)
class Scenes:
    """Scenes of `trajectories.report.scene` beside each other, under one heading; ``last`` where
    they come after the figures."""

    scenes: Sequence[dict[str, Any]]
    heading: str = "Scene"
    last: bool = False


def page(
    title: str,
    about: str,
    rows: Rows,
    analysis: Analysis,
    shown: Scenes,
    notes: Sequence[str],
    *,
    told: Told = lambda what, share: None,
) -> str:
    """HTML of a report.

    ``rows`` say what was run. ``told`` is called with the share of the figures that is drawn.
    """
    warnings = "".join(f"<li>{_text(warning)}</li>" for warning in analysis.warnings)
    numbers = [(number.label, str(number)) for number in analysis.numbers]
    scenes, notes = _scenes(shown.scenes, shown.heading) if shown.scenes else "", list(notes)
    figures = _figures(analysis.curves, notes, told)
    parts = [
        (
            f'<header><div><h1>{_text(title)}</h1><p class="about">{_text(about)}</p></div><button'
            ' id="theme">Light or dark</button></header>'
        ),
        f'<ul class="warnings" aria-label="Warnings">{warnings}</ul>' if warnings else "",
        "" if shown.last else scenes,
        f"<h2>Numbers</h2>{_table(numbers)}" if numbers else "",
        f'<h2>Figures</h2><div class="figures">{figures}</div>' if figures else "",
        scenes if shown.last else "",
        "".join(f'<p class="note">{_text(_sentence(note))}</p>' for note in notes),
        f"<h2>How the run was made</h2>{_table(rows)}",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta'
        f' charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<link rel="icon" href="data:,"><style>{_asset("page.css")}</style></head>\n'
        f"<body><main>{''.join(parts)}</main>\n"
        f"<script>{_asset('scene.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return files("trajectories.report").joinpath(name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _sentence(note: str) -> str:
    """With a capital, unless it begins with the name of a file, and a full stop."""
    first = note.split(" ")[0]
    capital = note if "." in first or "/" in first else note[:1].upper() + note[1:]
    return capital if note.endswith(".") else f"{capital}."


def _table(rows: Rows) -> str:
    body = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>'
        f"{''.join(f'<td>{_text(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table>{body}</table></div>'


def _figures(every: Sequence[Curves], notes: list[str], told: Told) -> str:
    """Figures one after the other; why one could not be drawn is added to the notes."""
    drawn: list[str] = []
    for k, curves in enumerate(every):
        told("drawing figures", k / len(every))
        with left_out(f"figure of {curves.title}", notes):
            drawn.append(_figure(curves))
    return "".join(drawn)


def _figure(curves: Curves) -> str:
    alternative = _text(f"{curves.title}: {curves.y_axis} against {curves.x_axis}. {curves.said}")
    drawing = svg_of(curves).replace("<svg", f'<svg role="img" aria-label="{alternative}"', 1)
    said = f"<figcaption>{_text(curves.said)}</figcaption>"
    return f"<figure><h3>{_text(curves.title)}</h3>{drawing}{said}</figure>"


def _scenes(scenes: Sequence[dict[str, Any]], heading: str) -> str:
    moves = any(one["frames"] > 1 for one in scenes)
    plays = "space plays and pauses, comma and full stop go a frame back and on; " if moves else ""
    views = "".join(_view(one, k, len(scenes) > 1) for k, one in enumerate(scenes))
    return (
        f"<h2>{_text(heading)}</h2><div"
        f' class="scenes{" many" if len(scenes) > 2 else ""}">{views}</div>'
        f"{_controls(scenes[0], moves)}{_legend(scenes)}<p"
        f' class="note">Keys: {plays}in the scene arrows turn, + and - zoom, 0 resets.</p>'
    )


def _view(scene: dict[str, Any], k: int, named: bool) -> str:
    """The k-th canvas with the numbers of its scene."""
    moves = f" moving through {scene['frames']:,} frames" if scene["frames"] > 1 else ""
    words = (
        f"{scene['label']}: {scene['particles']:,} particles{moves}; turn by dragging or arrow"
        " keys, zoom by plus and minus"
    )
    # no tag may end the script that holds the numbers
    data = json.dumps(scene, separators=(",", ":")).replace("<", "\\u003c")
    head = f"<h3>{_text(scene['label'])}</h3>" if named else ""
    return (
        f'<div>{head}<canvas data-scene="scene{k}" tabindex="0" role="img"'
        f' aria-label="{_text(words)}"></canvas><script type="application/json"'
        f' id="scene{k}">{data}</script></div>'
    )


def _controls(first: dict[str, Any], moves: bool) -> str:
    """What plays the scenes and chooses what they show."""
    systems = "".join(f'<option value="{s}">system {s}</option>' for s in range(first["systems"]))
    chosen = f'<label>System <select id="system">{systems}</select></label>'
    compress = '<label><input type="checkbox" id="compress" checked> compress distances</label>'
    return (
        f'<div class="controls"><div class="player"{"" if moves else " hidden"}><button'
        f' id="play">Play</button><input id="frame" type="range" min="0"'
        f' max="{first["frames"] - 1}" value="0"'
        ' aria-label="Frame"><label>Speed <select id="speed"><option'
        ' value="0.25">slow</option><option value="1" selected>usual</option><option'
        ' value="4">fast</option></select></label><output id="clock"'
        f' for="frame"></output></div>{chosen if first["systems"] > 1 else ""}'
        f'{compress if first["compress"] else ""}<button id="reset">Reset view</button></div>'
    )


def _legend(scenes: Sequence[dict[str, Any]]) -> str:
    colors: dict[str, str] = {}
    for one in scenes:
        colors |= one["legend"]
    items = "".join(
        f'<li><span style="background:{color}"></span>{_text(name)}</li>'
        for name, color in colors.items()
    )
    return f'<ul class="legend" aria-label="Colours">{items}</ul>'
