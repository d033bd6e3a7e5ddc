"""How the world can fail the runner. A job's own failures are values (``RunResult.reason``), never exceptions."""

import errno
from typing import Final

from morphware.node.errors import BadInput, MorphwareError

HOST_ERRORS: Final = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
"""What the system says when this machine is broken or full; anything else is said about the file that was opened."""


class SandboxUnavailable(MorphwareError):
    """Strangers' code cannot run here, because no sandbox starts. Install what the message names, then start again."""


class SandboxFailed(MorphwareError):
    """This machine failed while a job ran (not the job): free memory or disk, then let the node try again."""


class JobRefused(BadInput):
    """The job cannot be submitted as it is. The message is one sentence that says what to change."""


def raise_for_host(error: BaseException) -> None:
    """Raise ``error`` again where it is this machine's, so that no file of a stranger is blamed for it."""
    if isinstance(error, OSError) and error.errno in HOST_ERRORS:
        raise error
