"""Lying nodes lie where their scenario says so and nowhere else, and no ordinary node can be made one."""

from pathlib import Path
from typing import Any

import pytest

from morphware.node.config_loading import load_config
from morphware.node.errors import BadInput
from morphware.node.machines import USER, VALIDATOR, WORKER, Machine
from morphware.node.performer import Performer
from morphware.node.testnet.deviations import FAILING_E6, PASSING_E6, DeviatingPerformer, Deviation
from morphware.node.testnet.scenarios import find
from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import decode, encode
from morphware.protocol.crypto import Unopenable, unseal
from morphware.protocol.effects import Effect, Evaluate, Send
from morphware.protocol.events import CallDone, CallRefused, Evaluated, LocalEvent
from morphware.protocol.messages import ModelManifest
from morphware.protocol.units import Address, JobId, Timestamp
from morphware.protocol.view import JobView
from tests.node.testnet.recorded import terms

JOB = JobId(b"j" * 32)
LIAR, OTHER = Address(b"l" * 20), Address(b"o" * 20)
HONEST = Evaluated(950_000, 123, bytes(32), "")
EVALUATE = Evaluate("evaluate", "train.py", "accuracy", Timestamp(1), 1, 1)


def view(*rounds: tuple[Address, ...]) -> JobView:
    """A job with these committees."""
    seen = JobView(JOB, Address(bytes(20)), terms(), b"")
    for number, validators in enumerate(rounds):
        seen.apply(ce.CommitteeDrawn(JOB, number, bytes(32), validators))
    return seen


class Hands:
    """A node's deviating hands; what reaches the honest ones is kept."""

    def __init__(self, name: str, account: Address, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Effect] = []
        wanted = Deviation.of(find(name))
        assert wanted is not None
        told = Deviation.from_plain(wanted.to_plain())
        assert told == wanted

        class These(DeviatingPerformer):
            plan = told

        async def perform(_: Performer, machine: Machine, effect: Effect, *__: Any) -> LocalEvent:
            self.done.append(effect)
            return HONEST if isinstance(effect, Evaluate) else CallDone(effect.id)

        monkeypatch.setattr(Performer, "perform", perform)
        self.performer = These.__new__(These)  # of all that hands need, these need to know whose they are
        object.__setattr__(self.performer, "account", account)

    async def do(self, role: str, effect: Effect, seen: JobView | None = None) -> LocalEvent | None:
        machine = Machine(JOB, role, None)  # type: ignore[arg-type]
        return await self.performer.perform(machine, effect, seen, lambda: Timestamp(0))

    async def call(self, role: str, call: Any) -> Any:
        """A call, as it reaches the chain."""
        await self.do(role, Send("id", call))
        sent = self.done[-1]
        assert isinstance(sent, Send)
        return sent.call


async def test_garbage_is_in_the_boxes_of_the_scenario_and_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands("bad-keys", OTHER, monkeypatch)
    manifest = ModelManifest(file=SealedFile("magnet:", 1, bytes(32)), x_box=b"x" * 80)
    submission = calls.SubmitModel(JOB, bytes(32), bytes(32), bytes(32), bytes(32), encode(manifest))
    boxes = [
        (await hands.call(USER, calls.PostKeys(JOB, b"box"))).box,
        decode((await hands.call(WORKER, submission)).model, ModelManifest).x_box,
        *(await hands.call(USER, calls.PostTestKeys(JOB, (b"1", b"2", b"3")))).boxes,
        *(await hands.call(WORKER, calls.PostModelKeys(JOB, (b"1", b"2", b"3")))).boxes,
    ]
    assert len(boxes) == 8
    for box in boxes:
        with pytest.raises(Unopenable):
            unseal(box, bytes(range(32)))


async def test_all_other_calls_are_as_the_brain_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands("bad-keys:user", OTHER, monkeypatch)
    for call in (calls.PostTestKeys(JOB, (b"1",)), calls.PostModelKeys(JOB, (b"1",)), calls.Poke(JOB)):
        assert await hands.call(USER, call) == call


async def test_only_the_first_committees_first_seats_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    liar, other = (Hands("captured-committee", account, monkeypatch) for account in (LIAR, OTHER))
    captured = view((bytes(20), LIAR, OTHER))  # type: ignore[arg-type]
    answer = await liar.do(VALIDATOR, EVALUATE, captured)
    assert isinstance(answer, Evaluated)
    assert answer.metric_e6 == PASSING_E6
    assert await other.do(VALIDATOR, EVALUATE, captured) == HONEST
    assert await liar.do(VALIDATOR, EVALUATE, view((OTHER,), (LIAR,))) == HONEST
    assert await liar.do(USER, EVALUATE, captured) == HONEST


async def test_a_liar_that_is_found_out_does_not_appeal_and_an_honest_member_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    appeal = Send("appeal|1", calls.Appeal(JOB))
    captured = view((LIAR, bytes(20), OTHER))  # type: ignore[arg-type]
    liar = Hands("captured-committee", LIAR, monkeypatch)
    assert isinstance(await liar.do(VALIDATOR, appeal, captured), CallRefused)
    other = Hands("captured-committee", OTHER, monkeypatch)
    assert await other.do(VALIDATOR, appeal, captured) == CallDone(appeal.id)


async def test_only_the_end_user_is_mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands("appeal:mistaken", OTHER, monkeypatch)
    answer = await hands.do(USER, EVALUATE, view())
    assert isinstance(answer, Evaluated)
    assert answer.metric_e6 == FAILING_E6
    assert await hands.do(VALIDATOR, EVALUATE, view((OTHER,))) == HONEST


def test_a_scenario_in_which_everybody_is_honest_has_no_deviation() -> None:
    assert Deviation.of(find("vanish:AWARDED:user")) is None


@pytest.mark.parametrize("text", ["[deviation]\nliars = 2\n", "[node]\ndeviation = 'liars'\n"])
def test_no_configuration_makes_a_node_lie(text: str, tmp_path: Path) -> None:
    path = tmp_path / "morphware.toml"
    path.write_text(text)
    with pytest.raises(BadInput):
        load_config(path, environment={})
