"""`python -m entrepot_sandbox`: serve the simulated marketplaces on 127.0.0.1 until Ctrl C."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from entrepot_sandbox.faults import Level
from entrepot_sandbox.replay import FILE_NAME, available
from entrepot_sandbox.server import CHANNELS, Config, running


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m entrepot_sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free port; it is printed")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same goods, shoppers and faults")
    parser.add_argument("--products", type=int, default=120, help="how many products (0 with a replay: all)")
    parser.add_argument("--channels", default=",".join(CHANNELS), help="which marketplaces, with commas")
    parser.add_argument("--time-scale", type=float, default=1.0, help="how many times faster limits and delays go")
    parser.add_argument("--faults", choices=[level.value for level in Level], default="none")
    parser.add_argument("--replay", choices=("none", "uci"), default="none", help="replay real orders")
    parser.add_argument("--replay-lines", type=int, default=100_000, help="how many lines of the file (0: all)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "uci_online_retail",
        help=f"the folder of {FILE_NAME}",
    )
    return parser.parse_args(argv)


def config_of(told: argparse.Namespace) -> Config:
    """Return the configuration; a replay whose file is absent is replaced by the model, and says so."""
    replay = told.data if told.replay == "uci" else None
    if replay is not None and not available(replay):
        print(f"{replay / FILE_NAME} is not there: the demand model is used instead.", file=sys.stderr, flush=True)
        replay = None
    return Config(
        seed=told.seed,
        products=told.products,
        channels=tuple(key.strip() for key in told.channels.split(",") if key.strip()),
        time_scale=told.time_scale,
        faults=Level(told.faults),
        replay=replay,
        replay_lines=told.replay_lines,
    )


async def serve(config: Config, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with running(config, port) as sandbox:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        print(f"entrepot_sandbox ready at {sandbox.url} ({', '.join(config.channels)})", flush=True)
        await ended.wait()


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    told = arguments(argv)
    try:
        uvloop.run(serve(config_of(told), told.port))
    except OSError as error:
        print(f"Port {told.port} cannot be used: {error.strerror}.", file=sys.stderr)
        return 1
    except ValueError as error:
        print(str(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
