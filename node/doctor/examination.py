"""All checks side by side, each with a time limit: what hangs or fails is a finding like any other.

A check that blocks does so in a thread that is left behind when its time is over (a folder on a dead network drive
never answers), so that the doctor ends in any case.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import trio

from morphware.node.doctor.findings import Finding, Tell, failure, faulty
from morphware.node.errors import MorphwareError

USUAL_LIMIT_S: Final = 30.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    name: str
    run: Callable[[Tell], Awaitable[None]]
    limit_s: float = USUAL_LIMIT_S


async def examine(
    checks: Sequence[Check], on_change: Callable[[Sequence[str]], None] = lambda _: None
) -> list[Finding]:
    """Carry out the checks, and return what they found in their own order.

    Args:
        on_change: told the names of those that still run, whenever one begins or ends.
    """
    found: list[list[Finding]] = [[] for _ in checks]
    running = [check.name for check in checks]

    async def carry_out(check: Check, tell: Tell) -> None:
        with trio.move_on_after(check.limit_s) as scope:
            try:
                await check.run(tell)
            except Exception as error:  # noqa: BLE001 (a doctor that falls ill beside the patient helps nobody)
                tell(_failed(check.name, error))
        if scope.cancelled_caught:
            hung = f"This could not be found out within {check.limit_s:g} s."
            tell(
                faulty(check.name, hung, "See whether this machine is very busy, or something there hangs; ask again.")
            )
        running.remove(check.name)
        on_change(running)

    on_change(running)
    async with trio.open_nursery() as nursery:
        for check, its_findings in zip(checks, found, strict=True):
            nursery.start_soon(carry_out, check, its_findings.append)
    return [finding for its_findings in found for finding in its_findings]


def _failed(name: str, error: Exception) -> Finding:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, MorphwareError):
        return failure(name, error)
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return faulty(name, f"This could not be looked at ({kind}).", "Please report it: it is a bug of ours.")


async def in_thread(look: Callable[[], Result]) -> Result:
    """Look at something that may block; nobody waits for it longer than the check may take."""
    return await trio.to_thread.run_sync(look, abandon_on_cancel=True)
