"""Validators are drawn by seats: equal stakes, any number to an owner.

**Seats.**  A validator stakes a fixed amount a seat, and may own many.  Seats have numbers; the number of a dissolved
seat is given away again, last freed first, before a new one is.  A seat is free, busy (held by a job), or leaving (not
drawn any more, and paid out after the unbonding time); a busy seat may ask to leave, and leaves when its job lets go.

**Draw.**  The seed picks numbers below the job's span, which is the count of numbers when the job was posted, one hash
an attempt.  A number without a seat, or with one that may not serve, is passed over.  Attempts are bounded, so that a
sparse or hostile registry cannot make the draw dear.  A committee is whole or there is none: a smaller one would be
cheaper to own.  While more seats sit in other jobs than are free, seats are scarce, and no draw even looks for them:
whoever keeps other people's seats busy is left with at most twice its share of all seats.

**Strikes.**  A report code that did not become the verdict may be an honest mishap: only the third of one seat within
the window costs something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol.commitments import draw_word
from morphware.protocol.units import Address, Timestamp

MOST_DRAWS: Final = 1024
"""Attempts of one draw, at a hash and a storage word each: the bound on what a call can cost."""

MOST_BUSY: Final = 2**16 - 1
"""Seats that may sit at the same time: the contract counts them in 16 bits."""

SPARSEST: Final = 8
"""At least one number in so many has to be a free seat, or a draw would mostly miss."""

STRIKES_MOST: Final = 3
STRIKE_WINDOW_S: Final = 30 * 24 * 3600

NEVER: Final = Timestamp(0)


@dataclass(slots=True)
class Seat:
    """A validator's chair: who owns it, since when, from when on it may be taken away (0: it stays), and if it sits."""

    owner: Address
    since: Timestamp
    free_at: Timestamp = NEVER
    is_busy: bool = False

    @property
    def is_free(self) -> bool:
        """It may be drawn, as far as it goes by the seat alone."""
        return not self.is_busy and self.free_at == NEVER


@dataclass(frozen=True, slots=True)
class Strikes:
    """How many codes of a seat were wrong, and when the first of them was."""

    count: int
    first_at: Timestamp


@dataclass(slots=True)
class Registry:
    """All seats by number."""

    seats: dict[int, Seat] = field(default_factory=dict)
    freed: list[int] = field(default_factory=list)
    next_seat: int = 0
    free_seats: int = 0
    busy_seats: int = 0
    strikes: dict[int, Strikes] = field(default_factory=dict)

    def add(self, owner: Address, now: Timestamp) -> int:
        """A new seat, under the number that was freed last, or else a new one."""
        if self.freed:
            seat = self.freed.pop()
        else:
            seat = self.next_seat
            self.next_seat += 1
        self.seats[seat] = Seat(owner, now)
        self.free_seats += 1
        return seat

    def take(self, seat: int) -> None:
        """A drawn seat sits until its job closes."""
        assert self.seats[seat].is_free
        self.seats[seat].is_busy = True
        self.free_seats -= 1
        self.busy_seats += 1

    def release(self, seat: int) -> None:
        """A job lets go of a seat, which is free again unless it is leaving."""
        record = self.seats[seat]
        assert record.is_busy
        record.is_busy = False
        self.free_seats += record.is_free
        self.busy_seats -= 1

    def leave(self, seat: int, free_at: Timestamp) -> None:
        """The owner wants its stake back."""
        record = self.seats[seat]
        self.free_seats -= record.is_free
        record.free_at = free_at

    def dissolve(self, seat: int) -> None:
        """A slashed seat, or one that left, is no more; its strikes are forgotten with it."""
        assert not self.seats[seat].is_free
        self.busy_seats -= self.seats[seat].is_busy
        del self.seats[seat]
        self.strikes.pop(seat, None)
        self.freed.append(seat)

    def is_scarce(self, own: int, wanted: int) -> bool:
        """Whether there are too few seats even to look for ``wanted`` of them.

        Args:
            own: seats that sit in the very job that wants more.
        """
        return self.free_seats < self.busy_seats - own or self.busy_seats + wanted > MOST_BUSY

    def struck(self, seat: int, now: Timestamp) -> Strikes:
        """The seat's strikes if it gets one more."""
        before = self.strikes.get(seat)
        if before is None or now > before.first_at + STRIKE_WINDOW_S:
            return Strikes(1, now)
        return Strikes(before.count + 1, before.first_at)


def draw(
    span: int, may_serve: Callable[[int, Sequence[int]], bool], seed: bytes, round_number: int, wanted: int
) -> list[int]:
    """The drawn seats, in the order of the draw: as many as are wanted, or none.

    Args:
        span: how many numbers there are to draw from.
        may_serve: says whether there is such a seat and it may serve beside those picked so far.
        wanted: how many seats, odd.
    """
    picked: list[int] = []
    for attempt in range(MOST_DRAWS if span else 0):
        if len(picked) == wanted:
            break
        number = draw_word(seed, round_number, attempt) % span
        if may_serve(number, picked):
            picked.append(number)
    return picked if len(picked) == wanted else []
