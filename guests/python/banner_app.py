"""Makes a component of `banner.py`."""

import command
import banner
from wit_world import exports


class Run(exports.Run):
    """What the world asks for."""

    def run(self) -> None:
        command.run(banner.main)
