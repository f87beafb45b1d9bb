"""The banner program in Python: connects to port 22 of a host and prints what the server says first.

Output as the Rust one: `Connected to ADDR`, then each line; `Failed to connect: ERROR` and exit code 1 otherwise.
"""

import socket
import sys
from wit_world import exports


def main() -> None:
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    try:
        stream = socket.create_connection((host, 22))
    except OSError as error:
        sys.exit(f"Failed to connect: {error}")
    with stream:
        address, port = stream.getpeername()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"Connected to {shown}:{port}", flush=True)
        for line in stream.makefile("r", newline=None, errors="replace"):
            print(line.rstrip("\n"), flush=True)


class Run(exports.Run):
    """What a `wasi:cli` command exports: the one place that knows it is a component."""

    def run(self) -> None:
        main()
