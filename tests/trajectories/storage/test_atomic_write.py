"""A file takes the place of another as a whole or not at all."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from trajectories.storage.atomic_write import replacing, write_atomically


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_is_open_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    """As Windows refuses to replace what a virus scanner has open."""
    replace, slept = os.replace, list[float]()

    def refusing(*paths: Any) -> None:
        if len(slept) < 3:
            error = PermissionError(13, "Permission denied")
            error.winerror = winerror  # type: ignore[attr-defined]
            raise error
        replace(*paths)

    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(time, "sleep", slept.append)
    (tmp_path / "x").write_bytes(b"old")
    write_atomically(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert len(slept) == 3
    slept.clear()
    (tmp_path / "y").write_bytes(b"newer")
    with replacing(tmp_path / "x", tmp_path / "y"):
        pass
    assert (tmp_path / "x").read_bytes() == b"newer"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("winerror", [None, 32])
def test_a_file_that_stays_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int | None
) -> None:
    """After a second; at once where it is a matter of permissions. The old file stays."""
    slept = list[float]()

    def refusing(*_: Any) -> None:
        error = PermissionError(13, "Permission denied")
        error.winerror = winerror  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(time, "sleep", slept.append)
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
    assert sum(slept) == pytest.approx(1.04 if winerror else 0.0)
