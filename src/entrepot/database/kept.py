"""Start a program under the keeper, so that nothing of it outlives this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_KEEPER = Path(__file__).with_name("keeper.py")


class KeptProcess:
    """A program that ends when this process ends, however that happens."""

    def __init__(self, keeper: subprocess.Popen[bytes], pid: int) -> None:
        self._keeper = keeper
        self.pid = pid
        """The process id of the program itself."""

    @property
    def keeper_pid(self) -> int:
        """The process id of the keeper that watches over the program."""
        return self._keeper.pid

    @classmethod
    def start(
        cls,
        program: Sequence[str],
        *,
        log: IO[bytes] | int | None = None,
        env: Mapping[str, str] | None = None,
        extra_env: Mapping[str, str] | None = None,
        owner: tuple[int, int] | None = None,
        cwd: Path | None = None,
        stop_signal: str = "SIGTERM",
        grace_s: float = 8.0,
    ) -> KeptProcess:
        """Start `program` with its output in `log`.

        `env` replaces the environment of keeper and program, `extra_env` is added for the program only. `owner` is the
        (uid, gid) to run as. To stop it, `stop_signal` is sent, and after `grace_s` seconds it is killed.
        """
        options = [f"--stop-signal={stop_signal}", f"--grace-s={grace_s}"]
        if owner is not None:
            options += [f"--uid={owner[0]}", f"--gid={owner[1]}"]
        if cwd is not None:
            options.append(f"--cwd={cwd}")
        options += [f"--env={name}={value}" for name, value in (extra_env or {}).items()]
        keeper = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(_KEEPER), *options, "--", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
        assert keeper.stdout is not None
        with keeper.stdout as answer:
            line = answer.readline()
        return cls(keeper, int(line) if line.strip() else keeper.pid)

    def poll(self) -> int | None:
        """Return the exit status once the program has ended, else None."""
        status = self._keeper.poll()
        if status is not None:
            self._close()
        return status

    def ask_to_stop(self) -> None:
        """Begin to stop the program and return at once."""
        self._close()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        status = self._keeper.wait(timeout_s)
        self._close()
        return status

    def stop(self, timeout_s: float = 30.0) -> int:
        """Stop the program, insisting if need be, and wait for its end."""
        self._close()
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            return self._keeper.wait()

    def _close(self) -> None:
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            self._keeper.stdin.close()


def is_root() -> bool:
    """Return whether this process runs as root (PostgreSQL refuses to)."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
