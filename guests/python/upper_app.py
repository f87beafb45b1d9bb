"""Makes a component of `upper.py`."""

import command
import upper
from wit_world import exports


class Run(exports.Run):
    """What the world asks for."""

    def run(self) -> None:
        command.run(upper.main)
