"""How the world can fail the runner. A job's own failures are values (``RunResult.reason``), never exceptions."""

from morphware.node.errors import BadInput, MorphwareError


class SandboxUnavailable(MorphwareError):
    """Strangers' code cannot run here, because no sandbox starts. Install what the message names, then start again."""


class SandboxFailed(MorphwareError):
    """This machine failed while a job ran (not the job): free memory or disk, then let the node try again."""


class JobRefused(BadInput):
    """The job cannot be submitted as it is. The message is one sentence that says what to change."""
