"""Requests that move money are carried out once under the name that whoever asks gives them.

What a request decided is on disk before its first transaction, and its answer before anybody reads it.  So the same
request again, also after a crash at any point, goes on where it was, decides nothing anew, and is answered alike.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

import msgspec
import trio

from morphware.node.api.answers.node import MoveAsked, StakeAsked
from morphware.node.api.answers.plain import Done
from morphware.node.api.problems import BAD_INPUT, CONFLICT, Refusal
from morphware.node.errors import BadInput
from morphware.node.journal import Journal

KEY: Final = "request/{}"
"""Names of transactions begin so, too: they are what makes each of them happen once."""


class Plan(msgspec.Struct, frozen=True):
    """What a request decided: how much leaves the wallet first, and which seats are given up."""

    deposit_wei: str = "0"
    seats: tuple[int, ...] = ()


class _Kept(msgspec.Struct, frozen=True):
    """A request as the journal has it; without an answer it has begun, and may have been carried out in part."""

    asked: str
    plan: Plan
    done: Done | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """Carries out requests one at a time, so that two of them do not count the same tokens or seats."""

    journal: Journal
    _moving: trio.Lock = field(default_factory=trio.Lock)

    async def once(
        self,
        what: str,
        asked: MoveAsked | StakeAsked,
        decide: Callable[[], Awaitable[Plan]],
        carry_out: Callable[[Plan, str], Awaitable[Done]],
    ) -> Done:
        """The answer to a request, which is carried out unless it was.

        Args:
            what: what is asked for; one name stands for one request with one body.
            decide: checks the request, and sends nothing. Until it returns, the name is free.
            carry_out: gets the plan and what the names of its transactions begin with; it can be repeated.
        """
        async with self._moving:
            known = self._known(what, asked)
            if known is not None and known.done is not None:
                return known.done
            plan = known.plan if known is not None else await decide()
            self._keep(what, asked, plan)
            try:
                done = await carry_out(plan, KEY.format(asked.request_id or token_hex(16)))
            except BadInput as error:
                again = " To try again, give the request another request_id." if asked.request_id else ""
                raise Refusal(BAD_INPUT, error.sentence + again) from error
            self._keep(what, asked, plan, done)
            return done

    def _known(self, what: str, asked: MoveAsked | StakeAsked) -> _Kept | None:
        text = self.journal.get(KEY.format(asked.request_id)) if asked.request_id else None
        if text is None:
            return None
        known = msgspec.json.decode(text, type=_Kept)
        if known.asked != _told(what, asked):
            sentence = f"Another request had the request_id {asked.request_id}: give this one an id of its own."
            raise Refusal(CONFLICT, sentence, "request_id")
        return known

    def _keep(self, what: str, asked: MoveAsked | StakeAsked, plan: Plan, done: Done | None = None) -> None:
        if asked.request_id:  # without one, nobody can ask again
            kept = _Kept(_told(what, asked), plan, done)
            with self.journal.transaction():
                self.journal.put(KEY.format(asked.request_id), msgspec.json.encode(kept).decode())


def _told(what: str, asked: MoveAsked | StakeAsked) -> str:
    return f"{what} {msgspec.json.encode(asked).decode()}"
