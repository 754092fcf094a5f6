"""The files that an analysis is written into."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mcegnn.cli.messages import check_ending, check_new_folder, mistakes
from mcegnn.runs.outputs import check_figure, check_output, check_writable
from mcegnn.runs.reading import known_of

if TYPE_CHECKING:
    from trajectories.analysis import Analysis
    from trajectories.storage.h5md import H5MDReader


@dataclass
class AnalysisFiles:
    """Requested files for numbers and curves: the folder ``csv``, the file ``netcdf``, the folder
    of ``figures``, and the ``picture`` of the trajectory."""

    csv: Path | None
    netcdf: Path | None
    figures: Path | None
    picture: Path | None

    @property
    def folders(self) -> list[tuple[Path, str]]:
        """The folders, and how the files in them are called."""
        both = ((self.csv, "*.csv"), (self.figures, "*.p[dn][fg]"))
        return [(folder, ending) for folder, ending in both if folder is not None]

    def check(self, run: Path, force: bool) -> None:
        """Raise ValueError or OSError if the files cannot be written."""
        for folder, ending in self.folders:
            check_new_folder(folder, ending, force)
        if self.netcdf is not None:
            check_output(self.netcdf, force, run)
            check_ending(self.netcdf, ".nc", ".cdf")
            check_writable(self.netcdf)
        if self.picture is not None:
            check_figure(self.picture, force)

    def leave_out_picture(self, reader: "H5MDReader", found: "Analysis") -> None:
        """Make no picture of a trajectory that cannot be drawn, and warn of it."""
        from trajectories.figures import why_undrawable

        if self.picture is not None and (why := why_undrawable(reader)):
            others = "; --figures FOLDER draws what there is"
            more = others if found.curves and not self.figures else ""
            found.warnings.append(f"no picture {self.picture}: {why}{more}")
            self.picture = None

    def write(self, reader: "H5MDReader", found: "Analysis", *, quiet: bool) -> None:
        """Write them, and say which; warn of files from before that are still in their folders."""
        with mistakes():
            before = {path for folder, ending in self.folders for path in folder.glob(ending)}
            written = self._written(reader, found)
        if written and not quiet:
            many = f"{len(written)} files: {', '.join(map(str, written))}"
            typer.echo(f"wrote {written[0] if len(written) == 1 else many}")
        if stale := sorted(map(str, before - set(written))):
            typer.echo(
                f"warning: from before, and not of this run, are still there: {', '.join(stale)}",
                err=True,
            )

    def _written(self, reader: "H5MDReader", found: "Analysis") -> list[Path]:
        from trajectories.analysis.draw import save_figures
        from trajectories.analysis.export import write_csv, write_netcdf
        from trajectories.figures import draw_trajectory

        written = [] if self.csv is None else write_csv(found, self.csv)
        written += [] if self.figures is None else save_figures(found, self.figures)
        if self.netcdf is not None:
            write_netcdf(found, self.netcdf)
            written.append(self.netcdf)
        if self.picture is not None:
            draw_trajectory(reader, self.picture, known_of(reader))
            written.append(self.picture)
        return written
