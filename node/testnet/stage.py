"""Where a scenario is played: real nodes on a real chain, whose blocks the testnet makes one by one.

A party vanishes *when the chain enters a state*: the candidates are stopped while a block is made, and if that block
enters the state, the party's process is ended before it has seen it; the others go on.  So it is never a matter of luck
whether it managed to answer.

Chain time passes by a second with each block, and a block is made each half second.  Once nobody who lives can do
anything before a deadline, the next block lies right at the deadline: a test chain need not wait.
The chain stands still while a drawn committee fetches, if the only ones who have the files are about to vanish.

Whoever has an interest in a silent job pokes it.  If nobody who has one lives, the testnet does, as any stranger may.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import trio

from morphware.node import narration
from morphware.node.chain.calldata import encode_call, market_interface
from morphware.node.chain.errors import RpcRefusal
from morphware.node.chain.market_events import decode_events
from morphware.node.chain.rpc import Data, Header, Log
from morphware.node.errors import MorphwareError
from morphware.node.testnet.network import Network
from morphware.node.testnet.scenarios import Box, Party, Scenario
from morphware.node.wording import short_account
from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Poke
from morphware.protocol.documents import read_spec
from morphware.protocol.states import State
from morphware.protocol.units import Address, Timestamp
from morphware.protocol.view import JobView, view_of

PACE_S: Final = 0.5
"""Real seconds for one of the chain's."""
FETCH_PATIENCE_S: Final = 60.0
LATE_MOST_S: Final = 20
"""Whoever has an interest had so long to poke; then the testnet does."""
BUNDLES: Final = 3
"""Code, testing set and model: what a validator fetches."""
POKE_GAS: Final = 5_000_000


class ScenarioStuck(MorphwareError):
    """The scenario did not come to its end in time: read the nodes' logs in the testnet's folder."""


class Stage:
    """One scenario on a running network. ``view`` and what follows are what the chain says of its one job.

    Args:
        cheapest: the worker that will win, if it lives.
        say: takes a line for each thing that happens.
    """

    def __init__(
        self, network: Network, scenario: Scenario, cheapest: str, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.view: JobView | None = None
        self.states: list[State] = []
        self.rewards: list[ce.PokeRewarded] = []
        self.ended: list[str] = []
        self.own_pokes: list[State] = []
        self.is_over = trio.Event()
        self._network = network
        self._scenario = scenario
        self._cheapest = cheapest
        self._say = say
        self._started = trio.current_time()
        self._head: Header | None = None

    @property
    def has_vanished(self) -> bool:
        """Whoever was to vanish has."""
        return bool(self.ended)

    def name(self, account: Address) -> str:
        """A node's name."""
        return self._network.names.get(account) or short_account(account)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Make blocks until the job is closed; started once the chain waits for us."""
        await self._network.rpc.ask("evm_setIntervalMining", 0, answer=type(None))
        await self._network.rpc.ask("evm_mine", answer=str)  # the clock was set a moment ago: this block has its time
        self._head = await self._network.rpc.header("latest")
        task_status.started()
        while not self.is_over.is_set():
            started = trio.current_time()
            await self._let_fetch()
            await self._make_block()
            await self._poke()
            await trio.sleep_until(started + PACE_S)

    def describe(self) -> str:
        """How far it got."""
        reached = self.states[-1].name if self.states else "no state"
        return f"{self._scenario.name} stands in {reached} after {trio.current_time() - self._started:.0f} s"

    # --- blocks -----------------------------------------------------------------------------------------------------

    async def _make_block(self) -> None:
        """One block; the candidates see it only if they are not to vanish in it."""
        rpc, head = self._network.rpc, self._head
        assert head is not None
        now = int(head.timestamp) + 1
        if self._is_idle() and self.view is not None:
            now = max(now, self.view.deadline)
        candidates = [] if self.has_vanished else self._candidates()
        with self._stopped(candidates):
            await rpc.ask("evm_setNextBlockTimestamp", now, answer=Any)
            await rpc.ask("evm_mine", answer=str)
            self._head = head = await rpc.header("latest")
            assert head is not None
            where = {"address": self._network.deployment.market, "blockHash": head.hash}
            logs = sorted(await rpc.ask("eth_getLogs", where, answer=list[Log]), key=lambda entry: entry.log_index)
            entered = [state for event in decode_events(market_interface(), logs) if (state := self._take(event))]
            vanishing = self._scenario.vanishing
            if vanishing is not None and not self.has_vanished and vanishing.state in entered:
                for name in self._victims(vanishing.party):
                    await self._network.end(name)
                    self.ended.append(name)
                    self._tell(f"{name} is ended")
        if self.view is not None and self.view.is_over:
            self.is_over.set()

    def _take(self, event: ce.ChainEvent) -> State | None:
        """Fold an event in; the state that it entered, if any."""
        if isinstance(event, ce.JobPosted) and self.view is None:
            self.view = view_of(event)
        if self.view is None or isinstance(event, ce.NodePublished) or event.job_id != self.view.job_id:
            return None
        self.view.apply(event)
        if isinstance(event, ce.PokeRewarded):
            self.rewards.append(event)
        if isinstance(event, ce.StateChanged):
            self.states.append(event.state)
        sentence = narration.sentence(event, self.view, read_spec(self.view), self.name)
        if sentence:
            self._tell(sentence)
        return event.state if isinstance(event, ce.StateChanged) else None

    @contextmanager
    def _stopped(self, names: list[str]) -> Iterator[None]:
        """These processes stand still meanwhile."""
        pids = {name: pid for name in names if (pid := self._network.nodes[name].pid) is not None}
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for name, pid in pids.items():
                if self._is_alive(name):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)

    def _candidates(self) -> list[str]:
        """Who may have to vanish in the next block."""
        vanishing = self._scenario.vanishing
        if vanishing is None:
            return []
        roles = {Party.USER: ["user"], Party.WINNER: ["worker"], Party.BOTH: ["user", "worker"]}
        wanted = roles.get(vanishing.party, ["validator"])
        return [node.name for role in wanted for node in self._network.by_role(role)]

    def _victims(self, party: Party) -> list[str]:
        """Who vanishes, now that the state is entered."""
        view = self.view
        assert view is not None
        winner = self.name(view.winner) if view.winner else self._cheapest
        match party:
            case Party.USER:
                return ["user-1"]
            case Party.WINNER:
                return [winner]
            case Party.BOTH:
                return ["user-1", winner]
            case Party.VALIDATOR:
                return [self.name(view.validators[0])]
            case Party.VALIDATORS:
                return [node.name for node in self._network.by_role("validator")]

    async def _let_fetch(self) -> None:
        """No block is made while the first committee still needs files of those who are about to vanish."""
        view, vanishing = self.view, self._scenario.vanishing
        if view is None or view.state is not State.KEYING or vanishing is None or self.has_vanished:
            return
        if vanishing.party not in (Party.USER, Party.WINNER, Party.BOTH):
            return
        with trio.move_on_after(FETCH_PATIENCE_S):
            # files are looked for: no event tells of another process's download
            while not all(self._has_fetched(self.name(validator), view) for validator in view.validators):  # noqa: ASYNC110
                await trio.sleep(0.05)

    def _has_fetched(self, name: str, view: JobView) -> bool:
        folder = self._network.nodes[name].folder / "jobs" / view.job_id.hex() / "sealed"
        return len(list(folder.glob("*.sealed"))) >= BUNDLES

    # --- time -------------------------------------------------------------------------------------------------------

    def _is_idle(self) -> bool:
        """Nobody who lives can do anything before the deadline: what there was to do is done, or nobody will do it."""
        view = self.view
        if view is None or view.is_over:
            return False
        duties = self._duties(view)
        return duties is not None and not any(self._is_alive(self.name(account)) for account in duties)

    def _duties(self, view: JobView) -> set[Address] | None:
        """Who could still move the job before the deadline; None if anybody might, or the window is to be kept."""
        winner = {view.winner} if view.winner is not None else set[Address]()
        newest = view.round
        match view.state:
            case State.BIDDING:
                workers = {node.account for node in self._network.by_role("worker")}
                return workers - {bid.bidder for bid in view.bids}
            case State.REVEALING:
                return {bid.bidder for bid in view.unopened}
            case State.AWARDED | State.KEY_DISPUTE | State.SEED:
                return {view.user}
            case State.KEYED | State.TRAINING | State.X_DISPUTE | State.CLAIMABLE:
                return winner
            case State.KEYING if newest is not None:
                user = {view.user} if newest.test_boxes is None else set[Address]()
                return user | (winner if newest.model_boxes is None else set())
            case State.VCOMMIT if newest is not None:
                return set(newest.validators) - set(newest.committed)
            case State.VREVEAL if newest is not None:
                return set(newest.committed) - set(newest.revealed)
            case State.DISCLOSE:
                box, accused = (Box.TEST, {view.user}) if view.is_user_accused else (Box.MODEL, winner)
                return accused if box in self._scenario.garbage else accused | set(view.everybody_drawn)
            case _:
                return None

    async def _poke(self) -> None:
        """Move a job that is late, if nobody who has an interest in it lives to do so."""
        view, head = self.view, self._head
        if view is None or view.is_over or head is None or head.timestamp < view.deadline:
            return
        bidders = {bid.bidder for bid in view.bids}
        parties = {view.winner} if view.winner is not None else bidders
        concerned = {view.user, *parties, *view.everybody_drawn}
        is_orphan = not any(self._is_alive(self.name(account)) for account in concerned)
        if not is_orphan and Timestamp(int(head.timestamp)) < view.deadline + LATE_MOST_S:
            return
        market = self._network.deployment.market
        _, data = encode_call(Poke(view.job_id), market=market)
        request = {"from": Data(self._network.deployer), "to": market, "data": Data(data), "gas": hex(POKE_GAS)}
        with suppress(RpcRefusal):  # the committee's block may still be to come: then the next block is soon enough
            await self._network.rpc.ask("eth_call", request, "pending", answer=str)
            await self._network.rpc.ask("eth_sendTransaction", request, answer=str)
            self.own_pokes.append(view.state)
            self._tell("nobody is left to poke: the testnet does")

    def _is_alive(self, name: str) -> bool:
        node = self._network.nodes.get(name)
        return node is not None and node.pid is not None and not node.ended.is_set()

    def _tell(self, sentence: str) -> None:
        state = self.states[-1].name if self.states else "POSTING"
        self._say(f"{trio.current_time() - self._started:6.1f} s  {state:<11}  {sentence}")
