"""What files do and do not tell: times, units, elements, masses, velocities; nothing is invented,
and what is guessed is said."""

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from systems.units import METAL
from trajectories.analysis import analyse
from trajectories.analysis.known import Known
from trajectories.foreign import import_trajectory, is_ours
from trajectories.storage.h5md import H5MDReader

Opened = Callable[..., H5MDReader]
PS = METAL.convert(1.0, "ps")
FS = METAL.convert(1.0, "fs")


@pytest.fixture
def opened(tmp_path: Path, cases: Path) -> Opened:
    """A case as a run of ours."""

    def run(name: str, topology: str | None = None, **options: Any) -> H5MDReader:
        source = tmp_path / name if (tmp_path / name).exists() else cases / name
        import_trajectory(
            source,
            tmp_path / "run.h5md",
            None if topology is None else cases / topology,
            overwrite=True,
            **options,
        )
        return H5MDReader(tmp_path / "run.h5md")

    return run


def kelvin(run: H5MDReader, n_degrees: int) -> np.ndarray:
    """Temperatures of the frames that have one."""
    found = run.observable("kinetic_energy")
    assert found is not None
    return 2.0 * found[run.moving] / (n_degrees * METAL.boltzmann)


def diffusion(run: H5MDReader) -> float:
    """Of all particles, m2/s."""
    return next(n.value for n in analyse(run).numbers if n.key.startswith("diffusion"))


def test_a_dcd_of_lammps(opened: Opened) -> None:
    """Its times are in LAMMPS' own unit, which is guessed and said; what the user says counts."""
    with opened("lammps_real.dcd", "lammps_real.pdb") as run:
        np.testing.assert_allclose(run.times / PS, 0.1 * np.arange(400), rtol=1e-6)
        assert "taken to be fs (units real)" in run.assumed["times"]
        assert diffusion(run) == pytest.approx(4.5e-9, rel=0.15)
    with opened("lammps_real.dcd", "lammps_real.pdb", frame_interval=0.2 * PS) as run:
        np.testing.assert_allclose(run.times / PS, 0.2 * np.arange(400), rtol=1e-6)
        assert "times" not in run.assumed
        assert diffusion(run) == pytest.approx(2.25e-9, rel=0.15)
    with opened("lammps_real.dcd", "lammps_real.pdb", units="metal") as run:
        np.testing.assert_allclose(run.times / PS, 100.0 * np.arange(400), rtol=1e-6)


def test_velocities_in_some_frames(opened: Opened, cases: Path, tmp_path: Path) -> None:
    """A TRR whose writer kept velocities of every fifth frame: the others are not at rest."""
    import MDAnalysis

    for name in ("half_velocities.trr", "half_velocities.pdb"):
        shutil.copy(cases / name, tmp_path)
    u = MDAnalysis.Universe(
        str(tmp_path / "half_velocities.pdb"), str(tmp_path / "half_velocities.trr")
    )
    masses = u.atoms.masses[:, None]
    truth = [
        (
            (masses * (ts.velocities / PS) ** 2).sum() / (192 * METAL.boltzmann)
            if ts.has_velocities
            else np.nan
        )
        for ts in u.trajectory
    ]
    with opened("half_velocities.trr", "half_velocities.pdb") as run:
        assert run.moving.tolist() == np.isfinite(truth).tolist()
        np.testing.assert_allclose(kelvin(run, 192), np.array(truth)[np.isfinite(truth)], rtol=1e-3)
        assert kelvin(run, 192).mean() == pytest.approx(98.5, abs=0.05)
        found = analyse(run, Known(sure=False))
        mean = next(n for n in found.numbers if n.key == "temperature")
        assert mean.value == pytest.approx(kelvin(run, 192)[6:].mean())
        assert (
            "48 of 60 frames hold no velocities, the first of them 1: what takes them is of the"
            " others" in found.notes
        )
        assert np.isfinite([n.value for n in found.numbers]).all()


def test_no_energy_is_invented(opened: Opened) -> None:
    """ASE's reader puts zero beside the forces of a LAMMPS dump."""
    with opened("nve_forces.dump", frame_interval=2 * FS) as run:
        assert run.observable("potential_energy") is None
        np.testing.assert_allclose(
            run.frames("force", 0)[0], [-0.02459598, -0.01786936, 0.00090033], rtol=1e-6
        )
        assert not {"energy_change", "energy_slope"} & {n.key for n in analyse(run).numbers}
        assert "metal units" in run.assumed["units"]


def test_a_dump_that_tells_units_and_times(opened: Opened) -> None:
    with opened("real_units.dump") as run:
        np.testing.assert_allclose(run.times / FS, [0.0, 100.0, 200.0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(kelvin(run, 192), 100.0, rtol=1e-4)
        np.testing.assert_allclose(
            run.frames("force"), np.broadcast_to([1.0, 2.0, 3.0], (3, 64, 3)), rtol=1e-4
        )
        assert run.missing == ()
        assert "units" not in run.assumed
    with opened("real_units.dump", units="metal") as run:  # the user knows better
        np.testing.assert_allclose(
            run.frames("force"), np.broadcast_to([23.06, 46.12, 69.18], (3, 64, 3)), rtol=1e-4
        )
        np.testing.assert_allclose(run.times / PS, [0.0, 100.0, 200.0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [("types.xyz", {"masses": {"1": 15.999, "2": 2.014}}), ("forces_first.xyz", {})],
)
def test_extended_xyz_of_names_that_are_no_elements(
    opened: Opened, name: str, options: dict[str, Any]
) -> None:
    with opened(name, frame_interval=10 * FS, **options) as run:
        np.testing.assert_allclose(run.cells, np.broadcast_to(12.0 * np.eye(3), (40, 3, 3)))
        np.testing.assert_allclose(run.frames("position", 0)[0], [11.451080, 6.221551, 0.003106])
        assert diffusion(run) == pytest.approx(1.8e-8, rel=0.05)
        assert sorted(set(run.masses.round(3))) == [2.014, 15.999]
        assert set(run.species) == {1, 8}
        assert "H" in run.assumed["elements"]
        if name == "forces_first.xyz":
            np.testing.assert_allclose(
                run.frames("force"), np.broadcast_to([0.1, 0.2, 0.3], (40, 60, 3)), rtol=1e-12
            )


def test_types_without_masses(opened: Opened) -> None:
    with opened("types.xyz") as run:
        assert run.missing == ("velocities", "masses", "times")
        assert not run.species.any()
        assert run.names[:3] == ["1", "2", "1"]


def test_neon_and_virtual_sites(opened: Opened) -> None:
    with opened("neon.gro") as run:
        assert set(run.species) == {10}
        assert kelvin(run, 192) == pytest.approx([100.0], abs=0.01)
        assert "Ne from Ne" in run.assumed["elements"]
    with opened("tip4p.gro") as run:
        assert run.configuration["n_degrees"] == 3 * 81
        v, heavy = run.frames("velocity", 0), np.resize([True, True, True, False], 108)
        masses = np.resize([15.999, 1.008, 1.008, 0.0], 108)
        truth = (masses[:, None] * v**2).sum() / (243 * METAL.boltzmann)
        found = next(
            n for n in analyse(run, Known(n_degrees=243)).numbers if n.key == "temperature"
        )
        assert found.value == pytest.approx(truth, rel=1e-6)
        assert (run.masses[heavy] >= 1.0).all()
        center = (run.masses[:, None] * run.frames("position", 0)).sum(0) / run.masses.sum()
        np.testing.assert_allclose(
            center, (masses[:, None] * run.frames("position", 0)).sum(0) / masses.sum(), rtol=1e-9
        )
        assert "virtual sites without mass MW" in run.assumed["elements"]
        assert run.missing == ()


def test_h5md_of_others(opened: Opened, cases: Path) -> None:
    with pytest.raises(ValueError, match=r"H5MD file of another program.*--topology FILE"):
        H5MDReader(cases / "mda_written.h5md")
    with opened("mda_written.h5md", "mda_written.pdb") as run:
        np.testing.assert_allclose(run.times / PS, 0.1 * np.arange(400), rtol=1e-4)
        assert diffusion(run) == pytest.approx(4.5e-9, rel=0.15)


SPECIES = (
    ([29.0, 13.0], "ZnH5MD", True),
    ([1, 1], "ZnH5MD", True),
    ([8, 1], "N/A", True),
    ([1, 2], "lammps", False),
    ([1.5, 8.0], "ZnH5MD", False),
    ([0, 8], "ZnH5MD", False),
    ([[8, 1], [1, 8]], "ZnH5MD", False),
)


@pytest.mark.parametrize(
    ("species", "creator", "taken", "each_frame"),
    # what is kept once is the same in all frames
    [(*case, each) for case in SPECIES for each in (True, False) if each or np.ndim(case[0]) == 1],
)
def test_species_of_h5md(
    opened: Opened, tmp_path: Path, species: Any, creator: str, taken: bool, each_frame: bool
) -> None:
    """Atomic numbers need no topology; the types of a file of LAMMPS are none."""
    path, times = tmp_path / "zn.h5md", np.arange(2)
    x = np.random.default_rng(0).uniform(0, 5, (2, 2, 3))
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        file.create_group("h5md/creator").attrs["name"] = creator
        every = {"position": x, "box/edges": np.stack([5 * np.eye(3)] * 2), "momentum": x}
        if each_frame:
            every["species"] = np.broadcast_to(species, (2, 2))
        else:
            file["particles/atoms/species"] = species
        for name, values in every.items():
            group = file.create_group(f"particles/atoms/{name}")
            group["step"], group["time"], group["value"] = times, times, values
            group["time"].attrs["unit"] = "fs"
            if name != "species":
                group["value"].attrs["unit"] = "Angstrom"
        file["particles/atoms/box"].attrs["dimension"] = 3
        file["particles/atoms/box"].attrs["boundary"] = ["periodic"] * 3
    assert is_ours(path) is not taken
    if not taken:
        return
    with opened("zn.h5md") as run:
        assert run.species.tolist() == species
        np.testing.assert_allclose(run.frames("position"), x, atol=1e-6)
        np.testing.assert_allclose(run.times / FS, times, atol=1e-6)
        assert run.notes == ["of the H5MD file are not read: momentum"]
    assert is_ours(tmp_path / "run.h5md")


def test_a_data_file_of_lammps(opened: Opened) -> None:
    for options in ({}, {"format": "lammps-data"}, {"format": "lammps-data:atom_style=atomic"}):
        with opened("lammps_atomic.data", **options) as run:
            assert run.species.tolist() == [18, 18]
            np.testing.assert_allclose(run.frames("velocity", 0)[:, 2] * PS, [1.0, -1.0], rtol=1e-6)
            assert "metal units" in run.assumed["units"]
    with opened("lammps_atomic.data", units="real") as run:
        np.testing.assert_allclose(run.frames("velocity", 0)[:, 2] * FS, [1.0, -1.0], rtol=1e-6)


def test_columns_of_velocities(opened: Opened) -> None:
    """Their unit is guessed and said, unless the user says it."""
    for units, unit in (("", FS), ("real", FS), ("metal", PS)):
        with opened("vel_column.xyz", units=units) as run:
            np.testing.assert_allclose(
                run.frames("velocity", 0)[:, 2] * unit, [0.01, -0.01], rtol=1e-6
            )
            assert ("Angstrom/fs" in run.assumed.get("units", "")) is (not units)


def test_a_column_of_masses(opened: Opened) -> None:
    with opened("mass_column.xyz") as run:
        assert run.masses.tolist() == [80.0, 80.0]
    with opened("mass_column.xyz", masses={"Ar": 36.0}) as run:
        assert run.masses.tolist() == [36.0, 36.0]
        assert "2 atoms" in run.assumed["masses"]


def test_masses_by_element_and_by_name(opened: Opened, tmp_path: Path) -> None:
    """An element's are those of all its atoms, whatever they are called, but of those whose name is
    given too."""
    atom = "ATOM  {:5d}  {:3s} ALA A   1       {}.000   0.000   0.000  1.00  0.00           C\n"
    (tmp_path / "c.pdb").write_text(
        "".join(atom.format(k + 1, name, k) for k, name in enumerate(("CA", "CB", "C"))) + "END\n"
    )
    with opened("c.pdb", masses={"C": 13.0, "CB": 14.0}) as run:
        assert run.masses.tolist() == [13.0, 14.0, 13.0]
    with opened("c.pdb", masses={"CB": 14.0}) as run:
        assert run.masses.tolist() == pytest.approx([12.011, 14.0, 12.011])
    bare = atom.replace("           C\n", "\n")  # without the column of elements
    (tmp_path / "c.pdb").write_text(
        "".join(bare.format(k + 1, name, k) for k, name in enumerate(("CA", "CB"))) + "END\n"
    )
    with opened("c.pdb", masses={"C": 13.0}) as run:
        assert run.masses.tolist() == [13.0, 13.0]


def test_partial_occupancies_are_refused(opened: Opened) -> None:
    with pytest.raises(
        ValueError, match=r"the site at \(0, 0, 0\) is occupied in part \(0\.5 Cu and 0\.5 Au\)"
    ):
        opened("disordered.cif")


def test_nothing_is_left_beside_a_file(tmp_path: Path, cases: Path) -> None:
    """MDAnalysis keeps offsets of frames beside XTC and TRR."""
    for name in ("half_velocities.trr", "half_velocities.pdb", "thinned_nojump.xtc", "thinned.pdb"):
        shutil.copy(cases / name, tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, topology in (
        ("half_velocities.trr", "half_velocities.pdb"),
        ("thinned_nojump.xtc", "thinned.pdb"),
    ):
        import_trajectory(tmp_path / name, tmp_path / "out.h5md", tmp_path / topology)
        (tmp_path / "out.h5md").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": "mettal"}, "did you mean metal"),
        ({"format": "lamps-data"}, "did you mean lammps-data"),
        ({"format": "lammps-data:atomic"}, "is no option"),
        ({"masses": {"Ar": -1.0}}, "must be positive"),
        ({"frame_interval": 0.0}, "must be positive"),
        ({"format": "GRO"}, "cannot read"),
    ],
)
def test_what_cannot_be_said(opened: Opened, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened("mass_column.xyz", **options)


def test_units_go_with_formats_that_have_several(opened: Opened) -> None:
    for name, topology in (
        ("neon.gro", None),
        ("drift_only.traj", None),
        ("thinned_nojump.xtc", "thinned.pdb"),
    ):
        with pytest.raises(
            ValueError, match=r"--units goes with LAMMPS' files, extended XYZ and DCD"
        ):
            opened(name, topology, units="real")


def test_a_cell_without_volume_in_one_frame(opened: Opened, tmp_path: Path) -> None:
    """The frame is named, whoever reads the file."""
    import MDAnalysis
    from ase.build import bulk
    from ase.io import write

    u = MDAnalysis.Universe.empty(2, trajectory=True)
    u.add_TopologyAttr("names", ["Ar", "Ar"])
    for name, sides in (("a.xtc", (9.0, 9.0, 0.0, 9.0)), ("first.xtc", (0.0, 9.0))):
        with MDAnalysis.Writer(str(tmp_path / name), n_atoms=2) as file:
            for side in sides:
                u.dimensions = [side, 9.0, 9.0, 90.0, 90.0, 90.0] if side else [0.0] * 6
                file.write(u.atoms)
    u.dimensions = [9.0, 9.0, 9.0, 90.0, 90.0, 90.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        u.atoms.write(str(tmp_path / "a.gro"))
    with pytest.raises(ValueError, match="the cell of frame 2 has no volume"):
        import_trajectory(tmp_path / "a.xtc", tmp_path / "run.h5md", tmp_path / "a.gro")
    with pytest.raises(
        ValueError, match="the cell of frame 0 has no volume, and other frames have cells"
    ):
        import_trajectory(tmp_path / "first.xtc", tmp_path / "run.h5md", tmp_path / "a.gro")
    frames = [bulk("Cu", cubic=True) for _ in range(4)]
    for name, vector in (("b.xyz", frames[3].cell[1].copy()), ("c.xyz", np.zeros(3))):
        frames[3].cell[2] = vector
        write(tmp_path / name, frames)
        with pytest.raises(ValueError, match="the cell of frame 3 has no volume"):
            opened(name)


def test_frames_of_other_numbers_of_atoms(opened: Opened, tmp_path: Path, cases: Path) -> None:
    """The frame is named, with both numbers where they are known."""
    (tmp_path / "a.xyz").write_text("2\n\nAr 0 0 0\nAr 1 0 0\n" * 2 + "1\n\nAr 0 0 0\n")
    with pytest.raises(ValueError, match="frame 2 has 1 atoms and the first 2"):
        opened("a.xyz")
    text = (cases / "nve_forces.dump").read_text().splitlines(keepends=True)
    second = text[117:234]
    second[3] = "107\n"
    (tmp_path / "a.dump").write_text("".join(text[:117] + second[:-1]))
    with pytest.raises(ValueError, match="frame 1 has 107 atoms and the first 108"):
        opened("a.dump")
    models = ["MODEL        1\n", "MODEL        2\n"]
    atom = "ATOM      {k}  Ar  AR  X   {k}       5.230   5.970  16.280  1.00  0.00      SYSTAR  \n"
    lines = [
        models[0],
        *(atom.format(k=k) for k in (1, 2)),
        "ENDMDL\n",
        models[1],
        atom.format(k=1),
        "ENDMDL\n",
        "END\n",
    ]
    (tmp_path / "a.pdb").write_text("".join(lines))
    with pytest.raises(ValueError, match=r"frame 1 of .*a\.pdb"):
        opened("a.pdb")


def test_an_xdatcar_that_was_cut(opened: Opened, tmp_path: Path) -> None:
    """Its whole frames are there, wherever it ends."""
    from ase.build import bulk
    from ase.io import write

    frames = [bulk("Cu", cubic=True) for _ in range(4)]
    for k, frame in enumerate(frames):
        frame.rattle(0.1, seed=k)
    write(tmp_path / "XDATCAR", frames, format="vasp-xdatcar")
    text = (tmp_path / "XDATCAR").read_text()
    for cut in (1, 20, 130, 200, len(text) // 3):
        (tmp_path / "XDATCAR").write_text(text[: len(text) - cut])
        with opened("XDATCAR") as run:
            n = len(run)
            whole = text[: len(text) - cut].count("Direct") - 1
            assert n in (whole, whole + 1)
            np.testing.assert_allclose(
                run.frames("position"), [f.positions for f in frames[:n]], atol=1e-6
            )
            assert run.notes == [f"frame {n} cannot be read: the file ends within it"]


@pytest.mark.parametrize("levcfg", [1, 2])
def test_dl_poly(opened: Opened, tmp_path: Path, levcfg: int) -> None:
    """Its velocities are in Angstrom/ps and its forces in u Angstrom/ps2, of which ASE makes atomic
    units; CL is no carbon."""
    lines = [
        "a title",
        f"         {levcfg}         1",
        *(" ".join(["20.0" if i == k else "0.0" for i in range(3)]) for k in range(3)),
    ]
    for k, name in enumerate(("CL", "Na+"), 1):
        lines += [f"{name:8s}{k:10d}", f"{k}.0 2.0 3.0", f"0.5 -{k}.0 2.5"] + [
            "96.48533 0.0 -192.97066"
        ] * (levcfg > 1)
    (tmp_path / "CONFIG").write_text("\n".join(lines) + "\n")
    with opened("CONFIG") as run:
        assert run.species.tolist() == [17, 11]
        np.testing.assert_allclose(
            run.frames("velocity", 0) * PS, [[0.5, -1.0, 2.5], [0.5, -2.0, 2.5]], rtol=1e-6
        )
        if levcfg > 1:  # 1 eV is 9648.533 u Angstrom2/ps2
            np.testing.assert_allclose(run.frames("force", 0), [[0.01, 0.0, -0.02]] * 2, rtol=1e-5)


def test_atoms_of_no_element_in_a_traj(opened: Opened, tmp_path: Path) -> None:
    """What ASE calls X has a mass only where the file, or the user, tells one."""
    from ase import Atoms
    from ase.io import write

    write(tmp_path / "x.traj", Atoms("ArX", positions=[[0, 0, 0], [3, 0, 0]]))
    with opened("x.traj") as run:
        assert "masses" in run.missing
    with opened("x.traj", masses={"X": 5.0}) as run:
        assert "masses" not in run.missing
        np.testing.assert_allclose(run.masses, [39.948, 5.0])


def test_a_refusal_is_one_sentence(
    tmp_path: Path, cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MDAnalysis' readers that fail half made would complain on standard error when they are
    dropped."""
    import gc
    import sys

    heard: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    (tmp_path / "cut.dcd").write_bytes(b"CORD")
    with pytest.raises(ValueError, match=r"MDAnalysis cannot read .*cut\.dcd") as refused:
        import_trajectory(tmp_path / "cut.dcd", tmp_path / "run.h5md", cases / "lammps_real.pdb")
    assert "\n" not in str(refused.value)
    del refused
    gc.collect()
    assert not heard


def test_units_of_what_mdanalysis_reads(opened: Opened, tmp_path: Path, cases: Path) -> None:
    """It takes lengths for Angstrom and velocities for Angstrom/ps, in a DCD and in a dump that
    goes with a topology."""
    from ase.units import Bohr

    with opened("lammps_real.dcd", "lammps_real.pdb") as run:
        plain, cell = run.frames("position", 0), run.cells[0]
    with opened("lammps_real.dcd", "lammps_real.pdb", units="electron") as run:
        np.testing.assert_allclose(run.frames("position", 0), Bohr * plain, rtol=1e-6)
        np.testing.assert_allclose(run.cells[0], Bohr * cell, rtol=1e-6)
        np.testing.assert_allclose(
            run.times / PS, 0.1 * np.arange(400), rtol=1e-6
        )  # the unit of time is the femtosecond
    text = (cases / "real_units.dump").read_text()
    (tmp_path / "bare.dump").write_text(re.sub(r"ITEM: (TIME|UNITS)\n.*\n", "", text))
    lines = (cases / "lammps_real.pdb").read_text()
    (tmp_path / "top.pdb").write_text(lines)
    import_trajectory(
        tmp_path / "bare.dump", tmp_path / "dump.h5md", tmp_path / "top.pdb", units="real"
    )
    with H5MDReader(tmp_path / "dump.h5md") as run:
        np.testing.assert_allclose(kelvin(run, 192), 100.0, rtol=1e-3)


def test_masses_of_atoms_that_are_not_there(tmp_path: Path) -> None:
    """A name that is misspelt changes nothing, and must not do so in silence."""
    write(tmp_path / "a.xyz", Atoms("ArNe", positions=[[0, 0, 0], [0, 0, 4.0]]))
    with pytest.raises(
        ValueError,
        match="no atom is called Kr, of which --masses tells a mass; the file has Ar, Ne",
    ):
        import_trajectory(tmp_path / "a.xyz", tmp_path / "a.h5md", masses={"Kr": 80.0, "Ar": 36.0})


def test_units_that_contradict_the_file_are_said(cases: Path, tmp_path: Path) -> None:
    import_trajectory(cases / "real_units.dump", tmp_path / "a.h5md", units="metal")
    with H5MDReader(tmp_path / "a.h5md") as run:
        assert run.assumed["units"] == "metal, as the user gave them; the file says real"
    import_trajectory(cases / "real_units.dump", tmp_path / "b.h5md", units="real")
    with H5MDReader(tmp_path / "b.h5md") as run:
        assert "units" not in run.assumed
