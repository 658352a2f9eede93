"""Run one program and make sure that it never outlives the process that wanted it.

Started as a script (`python -I -S keeper.py ... -- program`), with nothing but the standard library, so that it is
small and quick. Its standard input is a pipe from the hub: when that closes, for whatever reason (a clean stop, kill -9
of the hub), the program is asked to stop and, after a grace period, killed with its whole process group. If the keeper
itself is killed, Linux signals the program (PR_SET_PDEATHSIG). That signal goes out when the *thread* that forked
ends, so the fork must happen in a process with one thread: this one.

Prints the program's process id as its first line and ends with its exit status (128 + n after signal n).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1


def _exec(options: argparse.Namespace, keeper_pid: int) -> None:
    """Become the program (in the forked child)."""
    os.setsid()
    # The program must not hold the pipe by which the keeper learns that the hub is gone.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    if options.uid is not None:
        os.setgroups([])
        os.setgid(options.gid)
        os.setuid(options.uid)
    if sys.platform == "linux":
        # After the change of user, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.Signals[options.stop_signal].value)
        if os.getppid() != keeper_pid:
            os._exit(1)
    environment = dict(os.environ)
    environment.update(pair.split("=", 1) for pair in options.env)
    if options.cwd:
        os.chdir(options.cwd)
    os.execvpe(options.program[0], options.program, environment)  # noqa: S606


def _wait_until(pid: int, deadline_s: float) -> int | None:
    """Return the status of `pid` when it has ended, or None if it is still there at the deadline."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline_s:
            return None
        time.sleep(0.02)


def _stop(pid: int, options: argparse.Namespace) -> int:
    """Ask the program to stop, then insist; return its status."""
    steps = [(signal.Signals[options.stop_signal], options.grace_s), (signal.SIGQUIT, options.grace_s / 2)]
    for number, grace_s in steps:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        status = _wait_until(pid, time.monotonic() + grace_s)
        if status is not None:
            return status
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _watch(pid: int, wakeup: int, options: argparse.Namespace) -> int:
    """Wait for the program to end by itself, for the hub to go, or for a signal to stop."""
    while True:
        ready, _, _ = select.select([0, wakeup], [], [])
        if wakeup in ready:
            received = set(os.read(wakeup, 64))
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status
            if received & {signal.SIGTERM.value, signal.SIGINT.value}:
                return _stop(pid, options)
        if 0 in ready and not os.read(0, 64):
            return _stop(pid, options)


def main() -> int:
    """Run the program named on the command line until it or the hub ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--cwd")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--stop-signal", default="SIGTERM")
    parser.add_argument("--grace-s", type=float, default=8.0)
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()

    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.set_wakeup_fd(write_end)

    keeper_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            _exec(options, keeper_pid)
        except OSError as error:
            os.write(2, f"could not run {options.program[0]}: {error}\n".encode())
        os._exit(127)
    with suppress(OSError):
        os.write(1, f"{pid}\n".encode())
    status = _watch(pid, read_end, options)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what the program itself left behind
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
