"""``python elsewhere.py ...`` is ``mcegnn ...`` on a system that has only what Linux, macOS and
Windows have in common.

What is hidden or refused: modules and functions of POSIX, ``/proc``, names of signals, links, and
the renaming or removal of files that are open. Text goes out in Windows' code page (the test sets
it), processes are spawned. What the operating system itself does is Linux' still.
"""

import builtins
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
FUNCTIONS = """fdatasync posix_fallocate posix_fadvise pread preadv pwrite pwritev readv writev
    sched_getaffinity sched_setaffinity fork forkpty setsid setpgid getpgid getsid
    killpg getuid geteuid getgid getegid setuid setgid chown fchown lchown fchmod chroot mkfifo
    mknod nice getpriority setpriority getloadavg sync pipe2 sendfile lockf memfd_create openpty
    ttyname getgroups wait3 wait4 copy_file_range eventfd splice"""
FLAGS = """O_CLOEXEC O_DIRECTORY O_NONBLOCK O_NOFOLLOW O_SYNC O_DSYNC O_DIRECT O_NOATIME O_PATH
    O_TMPFILE"""
SIGNALS = """SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGPIPE
    SIGTTIN SIGTTOU SIGURG SIGWINCH SIGIO SIGPROF SIGVTALRM alarm setitimer"""

_listdir, _stat, _lstat = os.listdir, os.stat, os.lstat


def hide() -> None:
    """Take away all of it, for this process."""
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    _import_locks()
    for module, names in ((os, f"{FUNCTIONS} {FLAGS}"), (signal, SIGNALS)):
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for module, name in (
        (builtins, "open"),
        (os, "open"),
        (os, "stat"),
        (os, "lstat"),
        (os, "listdir"),
        (os, "scandir"),
    ):
        setattr(module, name, _without_proc(getattr(module, name)))
    for name in ("replace", "rename", "unlink", "remove", "rmdir"):
        setattr(os, name, _of_closed_files(getattr(os, name)))
    os.symlink = os.link = _no_links
    # Linux takes its name while it is open
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # type: ignore[assignment]
    multiprocessing.set_start_method("spawn")


def _import_locks() -> None:
    """filelock without `fcntl`, and with all else that Linux has: it asks which system this is, and
    removes a lock that was left behind by Linux' own ways."""
    import filelock

    whole = ModuleType("os")
    whole.__dict__.update(vars(os))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == filelock.__name__ and "os" in vars(module):
            module.os = whole  # type: ignore[attr-defined]


def _without_proc(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *more: Any, **options: Any) -> Any:
        if isinstance(path, str | os.PathLike) and str(path).startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path, *more, **options)

    return call


def _of_closed_files(real: Callable[..., Any]) -> Callable[..., Any]:
    """As on Windows: a file that this process has open, or mapped, keeps its name."""

    def call(*paths: Any, **options: Any) -> Any:
        if not {"dir_fd", "src_dir_fd"} & options.keys() and not _by_filelock():
            for path in paths:
                if isinstance(path, str | os.PathLike) and _is_open(path):
                    error = PermissionError(13, "Permission denied", str(path))
                    error.winerror = 32  # type: ignore[attr-defined]
                    raise error
        return real(*paths, **options)

    return call


def _by_filelock() -> bool:
    """Whether filelock, which knows that this is Linux, removes a lock by way of pathlib."""
    frame: Any = sys._getframe(2)
    while frame.f_globals.get("__name__") == "pathlib":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).startswith("filelock.")


def _is_open(path: "str | os.PathLike[str]") -> bool:
    try:
        wanted = _lstat(path)
    except OSError:
        return False
    for fd in _listdir("/proc/self/fd"):
        try:
            if os.path.samestat(_stat(f"/proc/self/fd/{fd}"), wanted):
                return True
        except OSError:
            continue  # the one that was listing
    mapped = _read("/proc/self/maps")
    return os.path.realpath(path) in mapped


def _read(path: str, real: Callable[..., Any] = open) -> str:
    with real(path, encoding="utf-8") as file:
        return str(file.read())


def _no_links(*_: Any, **__: Any) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))  # as of the command itself
    hide()
    from mcegnn.cli.app import main

    sys.argv[0] = "mcegnn"
    main()
