"""Nodes that lie, for scenarios of the testnet: garbage in boxes, tests that were never made.

A deviation is switched on in a process that the testnet's zygote forks, and nowhere else: no configuration file, flag
or environment variable knows of it, and nothing of the node does.  It takes the place of the node's hands, the
``Performer``: what a brain wants is changed on its way to the world, or what the world answers on its way back.  The
brain itself stays honest, and so goes on as its interest bids it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

from morphware.node.machines import USER, VALIDATOR, Machine
from morphware.node.performer import Performer
from morphware.node.testnet.scenarios import Box, Scenario
from morphware.protocol import calls
from morphware.protocol.codec import decode, encode
from morphware.protocol.effects import Effect, Send
from morphware.protocol.events import CallRefused, Evaluated, LocalEvent
from morphware.protocol.messages import ModelManifest
from morphware.protocol.units import Address, Timestamp
from morphware.protocol.view import JobView

GARBAGE_BYTES: Final = 112
LIE_FINGERPRINT_E9: Final = 500_000_000
"""All liars say the same: a conspiracy agrees on its numbers."""
PASSING_E6: Final = 1_000_000
FAILING_E6: Final = 100_000


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a process does otherwise; each node only plays the part of it that its role has.

    Args:
        garbage: the boxes that hold garbage, by name.
        liars: so many of the first committee's seats, from the first on, report ``lie_e6``.
        mistake_e6: what the end user takes its model to be; None: what it is.
    """

    garbage: tuple[str, ...] = ()
    liars: int = 0
    lie_e6: int = PASSING_E6
    mistake_e6: int | None = None

    @classmethod
    def of(cls, scenario: Scenario) -> "Deviation | None":
        """What a scenario needs, if anything."""
        deviation = cls(
            garbage=tuple(sorted(box.value for box in scenario.garbage)),
            liars=scenario.liars,
            lie_e6=FAILING_E6 if scenario.is_model_good else PASSING_E6,
            mistake_e6=FAILING_E6 if scenario.is_user_mistaken else None,
        )
        return deviation if deviation.garbage or deviation.liars or deviation.mistake_e6 is not None else None

    def to_plain(self) -> dict[str, Any]:
        """As the zygote is told."""
        return {
            "garbage": list(self.garbage),
            "liars": self.liars,
            "lie_e6": self.lie_e6,
            "mistake_e6": self.mistake_e6,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Deviation":
        """What ``to_plain`` wrote."""
        return cls(tuple(plain["garbage"]), plain["liars"], plain["lie_e6"], plain["mistake_e6"])


def install(deviation: Deviation) -> None:
    """Give this process's node other hands, before it starts."""

    class Hands(DeviatingPerformer):
        """These."""

        plan = deviation

    import_module("morphware.node.node").Performer = Hands  # type: ignore[attr-defined]


class DeviatingPerformer(Performer):
    """Performs what a brain wants, except where the plan says otherwise."""

    plan = Deviation()

    async def perform(
        self, machine: Machine, effect: Effect, view: JobView | None, chain_time: Callable[[], Timestamp]
    ) -> LocalEvent | None:
        """The effect, changed; or its answer, changed."""
        is_liar = machine.role == VALIDATOR and view is not None and self._is_liar(view)
        if is_liar and isinstance(effect, Send) and isinstance(effect.call, calls.Appeal):
            # a captured committee that is found out keeps quiet: it has no seats for another round
            return CallRefused(effect.id, "Deviation", "This validator lied, and draws no attention to it.")
        answer = await super().perform(machine, self._with_garbage(effect), view, chain_time)
        if isinstance(answer, Evaluated):
            if is_liar:
                return replace(answer, metric_e6=self.plan.lie_e6, fingerprint_e9=LIE_FINGERPRINT_E9, reason="")
            if machine.role == USER and self.plan.mistake_e6 is not None:
                return replace(answer, metric_e6=self.plan.mistake_e6)
        return answer

    def _is_liar(self, view: JobView) -> bool:
        """This validator sits on one of the first committee's first seats."""
        first: tuple[Address, ...] = view.rounds[0].validators if view.rounds else ()
        return self.account in first[: self.plan.liars]

    def _with_garbage(self, effect: Effect) -> Effect:
        """The same call with boxes that nobody can open."""
        if not isinstance(effect, Send):
            return effect
        garbage, call = set(self.plan.garbage), effect.call
        match call:
            case calls.PostKeys() if Box.DATA.value in garbage:
                return replace(effect, call=replace(call, box=bytes(GARBAGE_BYTES)))
            case calls.SubmitModel() if Box.X.value in garbage:
                manifest = decode(call.model, ModelManifest)
                spoiled = ModelManifest(file=manifest.file, x_box=bytes(len(manifest.x_box)))
                return replace(effect, call=replace(call, model=encode(spoiled)))
            case calls.PostTestKeys() if Box.TEST.value in garbage:
                return replace(effect, call=replace(call, boxes=_garbage(len(call.boxes))))
            case calls.PostModelKeys() if Box.MODEL.value in garbage:
                return replace(effect, call=replace(call, boxes=_garbage(len(call.boxes))))
            case _:
                return effect


def _garbage(count: int) -> tuple[bytes, ...]:
    return tuple(bytes(GARBAGE_BYTES) for _ in range(count))
