"""Answers each line in upper case, until the client ends. The client is at standard input and output.

An ordinary program: `python3 upper.py` does the same. What makes it a component is in `upper_app.py`.
"""

import sys


def main() -> None:
    for line in sys.stdin:
        print(line.rstrip("\n").upper(), flush=True)


if __name__ == "__main__":
    main()
