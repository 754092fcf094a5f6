"""Curves and numbers as files for other programs: a CSV of each figure, or all in one NetCDF."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.analysis.results import Analysis, Axis, Curves


def column(axis: Axis, name: str = "") -> str:
    """Header of a column: quantity, curve and unit."""
    unit = f" ({axis.unit})" if axis.unit else ""
    return f"{axis.label}{f' {name}' if name else ''}{unit}"


def write_csv(analysis: Analysis, folder: str | Path) -> list[Path]:
    """``numbers.csv`` and a file for each figure, named by its key, with every digit; the folder is
    made. Returns what was written."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    written = [folder / "numbers.csv"]
    with open(written[0], "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "what", "value", "error", "unit", "note"])
        for n in analysis.numbers:
            rows.writerow(
                [
                    n.key,
                    n.label,
                    repr(n.value),
                    "" if n.error is None else repr(n.error),
                    n.unit,
                    n.note,
                ]
            )
    for curves in analysis.curves:
        written.append(folder / f"{curves.key}.csv")
        head = [column(curves.x_axis), *(column(curves.y_axis, name) for name in curves.values)]
        table = np.column_stack([curves.x, *curves.values.values()])
        np.savetxt(
            written[-1],
            table,
            delimiter=",",
            header=",".join(f'"{name}"' for name in head),
            comments="",
            fmt="%.17g",
            encoding="utf-8",
        )
    return written


def write_netcdf(analysis: Analysis, path: str | Path) -> None:
    """One NetCDF file in the classic format, which everything reads: a dimension for each figure,
    its variables, numbers as attributes."""
    from scipy.io import netcdf_file

    with netcdf_file(str(path), "w") as file:
        for n in analysis.numbers:
            setattr(file, n.key, np.float64(n.value))  # else single precision
            setattr(file, f"{n.key}_unit", n.unit.encode())
            if n.error is not None:
                setattr(file, f"{n.key}_error", np.float64(n.error))
        for curves in analysis.curves:
            _write(file, curves)


def _write(file: Any, curves: Curves) -> None:
    dimension = f"{curves.key}_x"
    file.createDimension(dimension, len(curves.x))
    for k, (name, values) in enumerate([("x", curves.x), *curves.values.items()]):
        axis = curves.x_axis if k == 0 else curves.y_axis
        variable = file.createVariable(
            dimension if k == 0 else f"{curves.key}_{k}", "d", (dimension,)
        )
        variable[:] = values
        variable.units = axis.unit.encode()
        variable.long_name = column(axis, "" if k == 0 else name).encode()
