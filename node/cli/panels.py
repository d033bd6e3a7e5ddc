"""Under which headings `morphware --help` shows the commands, in the order of their first command."""

from typing import Final

BEGIN: Final = "Begin"
JOBS: Final = "Jobs"
NODE: Final = "The running node"
MONEY: Final = "Money"
SET_UP: Final = "Keys, markets and settings"
