"""How large a testnet is. ``network.json`` in its folder keeps that, so that a stopped one comes back as it was."""

import random
from pathlib import Path
from typing import Final

import msgspec

from morphware.node.errors import BadInput
from morphware.protocol.units import TOKEN, Wei

FILE: Final = "network.json"
SEATS_LEAST: Final = 48
"""Three jobs at once, with committees of five: each wants 3 * 5 + 1 free seats when it is posted."""


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a testnet is, and what its workers ask for."""

    workers: int = 3
    validators: int = 7
    seed: int = 1

    @property
    def seats_each(self) -> int:
        """Seats that each validator holds: a posting wants more free ones than its committee, and jobs overlap."""
        return -(-SEATS_LEAST // self.validators)

    def costs(self) -> list[Wei]:
        """What each worker asks for an hour: different, from the seed, so that the auction has something to find.

        From 60 to 300 tokens, so that the usual estimate of ten minutes stays within a reserve of 100.
        """
        chance = random.Random(self.seed)  # noqa: S311 - a testnet's prices
        return [Wei(tokens * TOKEN) for tokens in chance.sample(range(60, 300), self.workers)]

    def keep(self, folder: Path) -> None:
        """Write it down in the testnet's folder."""
        (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def shape_of(folder: Path, **wanted: int | None) -> Shape:
    """The shape of the testnet in a folder, or of a new one as it is wanted.

    Args:
        wanted: fields of ``Shape``; None: as the folder keeps it, or the usual.

    Raises:
        BadInput: the folder's testnet was made with another shape: nodes would be missing, or have no tokens.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
    if not (folder / FILE).exists():
        return Shape(**asked)
    try:
        kept = msgspec.json.decode((folder / FILE).read_bytes(), type=Shape)
    except msgspec.DecodeError as error:
        raise BadInput(f"{folder / FILE} does not tell a testnet's shape ({error}): name another --folder.") from error
    others = [f"--{name} {getattr(kept, name)}" for name, value in asked.items() if value != getattr(kept, name)]
    if others:
        raise BadInput(
            f"The testnet in {folder} was made with {', '.join(others)}: leave that out, or name another --folder."
        )
    return kept
