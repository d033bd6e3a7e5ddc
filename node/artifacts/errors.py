"""What can go wrong with artifacts; each docstring is the sentence that a user reads, ending in what to do."""

from __future__ import annotations

from morphware.node.errors import ExitStatus, MorphwareError


class ArtifactError(MorphwareError):
    """A file could not be packed, sealed, sent or received. Read the reason beside this and try again."""

    def __str__(self) -> str:
        rule = (type(self).__doc__ or "").strip()
        reason = super().__str__()
        return f"{reason}. {rule}" if reason else rule


class ArtifactUnavailable(ArtifactError):
    """Nobody serves this file at present. Make sure that its owner is online and can be reached, then try again."""


class ArtifactCorrupt(ArtifactError):
    """What the peers offer is not the file that was announced. Do not use it; ask its owner to announce it again."""


class ArtifactTooLarge(ArtifactError):
    """The file is larger than this node accepts. Raise the limit in the configuration, or leave this job alone."""


class DiskFull(ArtifactError):
    """There is not enough free disk space. Free some space, or move the data folder to a larger disk."""


class ListenFailed(ArtifactError):
    """The BitTorrent port cannot be opened: end the program that holds it, or choose another in [artifacts] listen."""

    def __str__(self) -> str:
        reason = Exception.__str__(self)
        rule = (type(self).__doc__ or "").strip()
        return f"{rule.removesuffix('.')} ({reason})." if reason else rule


class SealBroken(ArtifactCorrupt):
    """The sealed file does not open. Its key is wrong, or the file was altered or cut short; fetch it again."""


class SourceRefused(ArtifactError):
    """This cannot be packed. Keep to plain files and folders within the limits, and try again."""

    exit_status = ExitStatus.BAD_INPUT


class ArchiveRefused(ArtifactCorrupt):
    """The archive breaks the packing rules and was not unpacked. Nothing was written; its maker must pack it again."""
