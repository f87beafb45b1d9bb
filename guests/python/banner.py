"""The banner program in Python: connects to port 22 of a host and prints what the server says first.

Output as the Rust one: `Connected to ADDR`, then each line; `Failed to connect: ERROR` and exit code 1 otherwise.
An ordinary program: `python3 banner.py HOST` does the same. What makes it a component is in `banner_app.py`.
"""

import socket
import sys


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


if __name__ == "__main__":
    main()
