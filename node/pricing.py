"""What a market asks of a job, by what its validators' seats hold and do: said before anything is posted."""

from collections.abc import Iterator

from morphware.node.amounts import format_tokens
from morphware.node.errors import BadInput
from morphware.protocol.market import FEE_LEAST_SHARE, RESERVE_LEAST_SHARE, RESERVE_MOST_SHARE
from morphware.protocol.units import Wei


def least_fee_wei(stake_wei: Wei) -> Wei:
    """The smallest fee of one validator that the market takes."""
    return Wei(-(-stake_wei // FEE_LEAST_SHARE))


def least_reserve_wei(stake_wei: Wei, seats: int) -> Wei:
    """The smallest reserve that the market takes for a committee."""
    return Wei(-(-stake_wei * (seats + 1) // RESERVE_LEAST_SHARE))


def most_reserve_wei(stake_wei: Wei, seats: int) -> Wei:
    """The largest reserve that a committee can vouch for."""
    return Wei(stake_wei * (seats + 1) // RESERVE_MOST_SHARE)


def check_price(reserve_wei: Wei, fee_wei: Wei | None, seats: int, stake_wei: Wei) -> None:
    """Make sure that the market takes these amounts.

    Raises:
        BadInput: with the amount that it would take.
    """
    for problem in price_problems(reserve_wei, fee_wei, seats, stake_wei):
        raise problem


def price_problems(reserve_wei: Wei, fee_wei: Wei | None, seats: int, stake_wei: Wei) -> Iterator[BadInput]:
    """Why the market would not take these amounts, each with its field and the amount that it would take."""
    stake, most = format_tokens(stake_wei), most_reserve_wei(stake_wei, seats)
    least = least_reserve_wei(stake_wei, seats)
    if reserve_wei > most:
        yield BadInput(
            f"A committee of {seats} with stakes of {stake} tokens can vouch for a reserve of at most "
            f"{format_tokens(most)} tokens: lower the reserve, or ask for more validators.",
            field="reserve_wei",
        )
    elif reserve_wei < least:
        affordable = reserve_wei * RESERVE_LEAST_SHARE // stake_wei - 1
        affordable -= affordable % 2 == 0
        fewer = f", or ask for {affordable} of them" if affordable >= 1 else ""
        yield BadInput(
            f"A job that takes up {seats} validators with stakes of {stake} tokens has a reserve of at least "
            f"{format_tokens(least)} tokens: raise the reserve{fewer}.",
            field="reserve_wei",
        )
    if fee_wei is not None and fee_wei < least_fee_wei(stake_wei):
        yield BadInput(
            f"A validator with a stake of {stake} tokens gets a fee of at least "
            f"{format_tokens(least_fee_wei(stake_wei))} tokens: raise the fee, or leave it to the node.",
            field="fee_wei",
        )


def check_seats(seats: int, *, free: int, busy: int) -> None:
    """Make sure that the market lets in a job that wants so many seats, while so many are free and busy.

    Raises:
        BadInput: with what it waits for.
    """
    needed = 3 * seats + 1  # the market wants a first appeal's committee to be there beside the job's own
    if free < needed:
        raise BadInput(
            f"{seats} validators are wanted, for which {needed} seats have to be free, and {free} are, while {busy} "
            "sit in jobs: ask for fewer, or wait.",
            field="seats",
        )
    if free < busy:
        raise BadInput(
            f"{busy} seats of validators sit in jobs, and only {free} are free: the market lets in no job, however few "
            "it asks for, until no more of them sit than are free. Wait for other jobs to end.",
            field="seats",
        )
