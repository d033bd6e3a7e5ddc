"""What the world can do to a node, as exceptions whose text is the one sentence that the user reads.

Adapters derive their exceptions from ``MorphwareError``; the command line catches the base, prints the sentence and
leaves with the exit status. Anything else that reaches the top of the command line is a bug of ours.
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """How every ``morphware`` command ends."""

    SUCCESS = 0
    NOT_PAID = 1
    """The command worked, and the job ended with another outcome than PAID."""
    BAD_INPUT = 2
    WORLD_FAILED = 3
    OUR_BUG = 70
    """EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130


class MorphwareError(Exception):
    """Something outside the program failed; the text (or the docstring) is one sentence that ends in what to do."""

    exit_status: ExitStatus = ExitStatus.WORLD_FAILED

    @property
    def sentence(self) -> str:
        """What the user reads: the text given, or else the class's docstring."""
        return " ".join((str(self) or type(self).__doc__ or type(self).__name__).split())


class BadInput(MorphwareError):
    """What the user gave cannot be used; the sentence names it and says what would do.

    ``field`` is the part of a form or request that it is about, like ``threshold``; empty if it is about no single one.
    """

    exit_status = ExitStatus.BAD_INPUT

    def __init__(self, *sentence: str, field: str = "") -> None:
        super().__init__(*sentence)
        self.field = field
