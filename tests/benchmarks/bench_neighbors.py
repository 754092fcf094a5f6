"""Neighbour lists of rattled silicon, 5 Angstrom, full lists with shifts, beside other packages' in
the same run."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from record import Row, ratio, shown

from systems.neighbors.cells import cell_list
from systems.sources.atoms import from_atoms
from systems.system import System

CUTOFF = 5.0


def silicon(repeat: int) -> Atoms:
    """8 repeat^3 atoms, moved by 0.05 Angstrom or so."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(repeat)
    atoms.rattle(0.05, seed=1)
    return atoms


def others(atoms: Atoms) -> dict[str, Callable[[], object]]:
    """What other packages do for the same numbers."""
    import vesin
    from matscipy_neighbours import neighbour_list

    positions, cell = atoms.positions, np.array(atoms.cell)

    def by_vesin() -> object:
        return vesin.NeighborList(cutoff=CUTOFF, full_list=True).compute(
            points=positions, box=cell, periodic=True, quantities="ijS"
        )

    return {"vesin": by_vesin, "matscipy-neighbours": lambda: neighbour_list("ijS", atoms, CUTOFF)}


def ours(system: System, threads: int = 1) -> None:
    """With centres and shifts of each pair, which a list makes when they are asked for."""
    pairs = cell_list(*system.geometry, CUTOFF, threads)
    _ = pairs.i, pairs.shift


def by_torch_cluster(atoms: Atoms) -> Row | None:
    """torch-cluster, where it is installed, knows no cells: both without periodic images, its cap
    of neighbours far above any there is."""
    try:
        from torch_cluster import radius_graph
    except ImportError:
        return None
    import torch

    x = torch.as_tensor(atoms.positions)
    free = from_atoms(Atoms(atoms.symbols, atoms.positions))
    measured = ratio(
        lambda: ours(free), lambda: radius_graph(x, CUTOFF, max_num_neighbors=256), repeats=5
    )
    return Row(
        f"{len(atoms):,} atoms, 1 thread, no images: speed over torch-cluster's",
        shown(measured),
        "",
    )


def measure() -> list[Row]:
    """Ratios at three sizes, the growth up to a million atoms, and its memory."""
    rows, seconds = [], {}
    for repeat in (5, 20, 40):
        atoms = silicon(repeat)
        system, n = from_atoms(atoms), len(atoms)
        turns = 21 if n < 10_000 else 7
        ours(system, 2)
        began = time.perf_counter()
        ours(system)
        seconds[n] = time.perf_counter() - began
        for name, work in others(atoms).items():
            for threads in (1, 2):
                measured = ratio(lambda k=threads, s=system: ours(s, k), work, repeats=turns)
                asked = (
                    {1: "at least 1.3, aim 2", 2: "at least 2.5, aim 3.5"}[threads]
                    if name == "vesin"
                    else ""
                )
                rows.append(
                    Row(
                        f"{n:,} atoms, {threads} thread{'s' * (threads > 1)}: speed over {name}'s",
                        shown(measured),
                        asked,
                    )
                )
        if n < 100_000 and (row := by_torch_cluster(atoms)) is not None:
            rows.append(row)
        if n < 10_000:
            measured = ratio(
                lambda s=system: ours(s), lambda a=atoms: neighbor_list("ijS", a, CUTOFF), repeats=5
            )
            rows.append(Row(f"{n:,} atoms, 1 thread: speed over ASE's", shown(measured), ""))
    code = (
        f"import sys; sys.path.insert(0, {sys.path[0]!r}); import bench_neighbors;"
        " bench_neighbors.million()"
    )
    taken, memory = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    sizes = np.array([*seconds, 1_000_000])
    slope = np.polyfit(np.log(sizes[1:]), np.log([*list(seconds.values())[1:], float(taken)]), 1)[0]
    rows.append(
        Row(
            "growth of time from 64,000 to 1,000,000 atoms: exponent",
            f"{slope:.2f}; {float(taken):.2f} s at the end",
            "linear",
        )
    )
    rows.append(Row("memory at 1,000,000 atoms", f"{float(memory):.2f} GB", "within 4 GB"))
    return rows


def million() -> None:
    """Seconds and gigabytes of a list of a million atoms, printed."""
    system = from_atoms(silicon(50))
    ours(system)
    began = time.perf_counter()
    ours(system)
    print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
