"""What the specification says of a scenario: the same parties play it on the pure market, and nothing is written down.

Everybody does what its interest and the table ask for, as soon as it can, and whoever has vanished does nothing.  What
nobody can answer any more is poked at its deadline by a stranger.  Who gains and loses what then follows from the rules
alone, to the wei; PROTOCOL.md 5.3 is a table of such results.

Accounts of the rehearsal are named as the testnet's nodes are.  Validators differ: which of them is drawn is chance, so
they are compared by round and seat.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from morphware.node.testnet.scenarios import Box, Party, Scenario
from morphware.protocol import calls
from morphware.protocol.bidding import MOST_BATCH
from morphware.protocol.calls import Call, ModelRoot, Opening, Report, Terms
from morphware.protocol.chain_events import ChainEvent, PokeRewarded, StateChanged
from morphware.protocol.commitments import Domain, bid_commitment, keccak, report_commitment, salt_of
from morphware.protocol.committee import Round
from morphware.protocol.job import Job
from morphware.protocol.market import Market
from morphware.protocol.parameters import Timing
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, Timestamp, Wei

USER: Final = "user-1"
STRANGER: Final = "stranger"
GOOD_E6: Final = 990_000
BAD_E6: Final = 330_000
THRESHOLD_E6: Final = 900_000
STEPS_MOST: Final = 200
"""No life has so many steps: a rehearsal that goes round in circles is our bug."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the market and the job are: everything that amounts depend on. ``prices_wei`` are the workers' bids."""

    reserve_wei: Wei
    fee_wei: Wei
    seat_stake_wei: Wei
    prices_wei: Mapping[str, Wei]
    timing: Timing
    testing_s: int
    bidding_s: int = 10
    training_s: int = 600


@dataclass(frozen=True, slots=True)
class Specified:
    """How the scenario has to end. Gains are by name; those of the drawn validators by round and seat.

    ``rewards_wei`` went to whoever poked: on a real chain anybody may be the first, so they are in nobody's gains.
    """

    outcome: Outcome
    states: tuple[State, ...]
    winner: str | None
    price_wei: Wei
    gains_wei: Mapping[str, int]
    seats_wei: tuple[tuple[int, ...], ...]
    rewards_wei: tuple[int, ...]
    burned_wei: Wei
    audits_wei: int
    """What the audit pool gained; less than nothing where it paid for an audit more than the job gave."""


def audits_wei(scenario: Scenario, inputs: Inputs) -> Wei:
    """What the audit pool has when the scenario begins: enough for a few audits, if there is to be one."""
    return Wei(10 * inputs.fee_wei if scenario.is_audited else 0)


def rehearse(scenario: Scenario, inputs: Inputs, open_market: "OpenMarket | None" = None) -> Specified:
    """Play the scenario on the pure market, or on one that watches it.

    Args:
        open_market: makes the empty market; the table of losses lets a real chain play along.
    """
    play = _Play(scenario, inputs, open_market or _pure_market)
    play.run()
    return play.result()


def account_of(name: str) -> Address:
    """An account of this name; nobody has to sign anything here."""
    return Address(keccak(b"rehearsal of " + name.encode())[12:])


OpenMarket = Callable[[Parameters], Market]


def _pure_market(parameters: Parameters) -> Market:
    return Market(Domain(1, account_of("market")), parameters, lambda number: keccak(b"%d" % number))


@dataclass(slots=True)
class _Play:
    """One job, from its posting to its end. ``alive`` are the names of those who have not vanished."""

    scenario: Scenario
    inputs: Inputs
    open_market: OpenMarket
    market: Market = field(init=False)
    job: Job = field(init=False)
    alive: set[str] = field(init=False)
    now: int = 1_800_000_000
    block: int = 1_000
    names: dict[Address, str] = field(default_factory=dict)
    before_wei: dict[str, int] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    rewards_wei: list[int] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    reports: dict[tuple[int, Address], Report] = field(default_factory=dict)
    has_vanished: bool = False

    def __post_init__(self) -> None:
        """Everybody has money, the validators have staked, and the job is posted."""
        inputs, scenario = self.inputs, self.scenario
        parameters = Parameters(inputs.timing, inputs.seat_stake_wei)
        self.market = self.open_market(parameters)
        validators = [f"validator-{index + 1}" for index in range(scenario.validators)]
        everybody = [USER, *inputs.prices_wei, *validators]
        self.alive = set(everybody)
        for name in (*everybody, STRANGER):
            account = account_of(name)
            self.names[account] = name
            self._do(name, calls.Deposit(Wei(100 * inputs.reserve_wei + inputs.seat_stake_wei)))
        for name in validators:
            self._do(name, calls.Stake(1))
        if funds_wei := audits_wei(scenario, inputs):
            self._do(STRANGER, calls.FundAudits(funds_wei))
        self.now += 1
        self.before_wei = {name: self._worth(name) for name in everybody}
        self._do(USER, calls.Post(self._terms(), b"specification"))
        [self.job] = self.market.jobs.values()

    def run(self) -> None:
        """To the end."""
        for _ in range(STEPS_MOST):
            if self.job.state is State.CLOSED:
                return
            self._let_vanish()
            self.now += 1
            self.block += self.inputs.timing.seed_blocks + 1
            if not self._act():
                self.now = max(self.now, self.job.deadline)
                self._do(STRANGER, calls.Poke(self.job.job_id))
        raise AssertionError(f"the rehearsal of {self.scenario.name} does not end")

    def result(self) -> Specified:
        """What came of it."""
        gains = {name: self._worth(name) - before for name, before in self.before_wei.items()}
        job = self.job
        return Specified(
            outcome=job.outcome,
            states=tuple(self.states),
            winner=self.names.get(job.winner),
            price_wei=job.price_wei,
            gains_wei={name: gain for name, gain in gains.items() if not name.startswith("validator")},
            seats_wei=tuple(tuple(gains[self.names[who]] for who in each.validators) for each in job.rounds),
            rewards_wei=tuple(self.rewards_wei),
            burned_wei=self.market.ledger.burned_by(job.job_id),
            audits_wei=self.market.ledger.audit_pool() - audits_wei(self.scenario, self.inputs),
        )

    # --- the parties ------------------------------------------------------------------------------------------------

    def _act(self) -> bool:
        """Whoever can do something now does it; False if nobody can, or wants to."""
        job_id, root = self.job.job_id, self._root()
        match self.job.state:
            case State.BIDDING:
                return self._bid()
            case State.REVEALING:
                return self._open()
            case State.AWARDED:
                return self._if(USER, calls.PostKeys(job_id, b"box"))
            case State.KEYED:
                return self._if(self._winner, self._answer_to_keys())
            case State.KEY_DISPUTE:
                disclosure = calls.DiscloseKey(job_id, _secret("train"), keccak(_secret("seed")), _hash("test"))
                return self._if(USER, disclosure)
            case State.TRAINING:
                model = calls.SubmitModel(job_id, root.model_hash, root.x_hash, root.y_hash, root.worker_seed, b"m")
                return self._if(self._winner, model)
            case State.SEED:
                reveal = calls.RevealSeed(job_id, _secret("seed"), _hash("train"), _hash("test"), root)
                return self._if(USER, reveal)
            case State.KEYING:
                return self._hand_out_keys()
            case State.X_DISPUTE:
                disclosure_x = calls.DiscloseX(job_id, _secret("x"), root.model_hash, root.y_hash, root.worker_seed)
                return self._if(self._winner, disclosure_x)
            case State.VCOMMIT:
                return self._hand_out_keys() or self._complain() or self._test()
            case State.DISCLOSE:
                return self._disclose()
            case State.VREVEAL:
                return self._reveal()
            case State.TALLIED:
                return self._appeal()
            case State.CLAIMABLE:
                claim = calls.Claim(job_id, _secret("y"), root.model_hash, root.x_hash, root.worker_seed)
                return self._if(self._winner, claim)
            case State.INSPECT:
                return self._inspect()
            case _:
                return False

    def _bid(self) -> bool:
        """Every living worker bids once, its true cost."""
        if self.openings:
            return False
        for name, price_wei in self.inputs.prices_wei.items():
            if name in self.alive:
                account, salt = account_of(name), salt_of(keccak(name.encode()))
                opening = Opening(account, price_wei, is_authentic=True, estimated_s=self.inputs.training_s, salt=salt)
                self.openings.append(opening)
                commitment = bid_commitment(self.market.domain, self.job.job_id, opening)
                self._do(name, calls.Commit(self.job.job_id, commitment))
        return bool(self.openings)

    def _open(self) -> bool:
        """Whoever lives says how its bid opens, and somebody brings all openings on chain."""
        known = tuple(each for each in self.openings if self.names[each.bidder] in self.alive)
        shut = [each for each in known if not self._is_open(each)]
        if not shut:
            return False
        assert len(known) <= MOST_BATCH
        self._do(self.names[known[0].bidder], calls.RevealBids(self.job.job_id, known))
        return True

    def _is_open(self, opening: Opening) -> bool:
        commitment = bid_commitment(self.market.domain, self.job.job_id, opening)
        return self.job.bids[opening.bidder, commitment].is_open

    def _answer_to_keys(self) -> Call:
        """Keys that do not open are complained of; data that nobody serves any more is declined."""
        if Box.DATA in self.scenario.garbage and not self.job.is_train_key_public:
            return calls.ComplainKey(self.job.job_id)
        return calls.Acknowledge(self.job.job_id) if USER in self.alive else calls.Decline(self.job.job_id)

    def _hand_out_keys(self) -> bool:
        """Both parties seal their keys to the newest committee, unless theirs are public already."""
        job, each = self.job, self.job.rounds[-1]
        is_first = job.state is State.KEYING
        boxes = tuple(b"box" for _ in each.seats)
        if not each.has_test_keys and USER in self.alive and (is_first or not job.is_test_key_public):
            if Box.X in self.scenario.garbage and not job.is_x_public:
                return self._if(USER, calls.ComplainX(job.job_id))
            return self._if(USER, calls.PostTestKeys(job.job_id, boxes))
        if not each.has_model_keys and (is_first or not job.is_model_public):
            return self._if(self._winner, calls.PostModelKeys(job.job_id, boxes))
        return False

    def _complain(self) -> bool:
        """A member that cannot open its keys demands them in clear."""
        members = self._living_members(self.job.rounds[-1])
        for against_user in (True, False):
            if members and not self._has_keys(self.job.rounds[-1], is_test=against_user):
                return self._if(members[0], calls.ComplainKeys(self.job.job_id, against_user))
        return False

    def _has_keys(self, each: Round, *, is_test: bool) -> bool:
        """The members of a round can open one side's keys."""
        if is_test:
            boxes_open = each.has_test_keys and Box.TEST not in self.scenario.garbage
            return self.job.is_test_key_public or boxes_open
        boxes_open = each.has_model_keys and Box.MODEL not in self.scenario.garbage
        return self.job.is_model_public or boxes_open

    def _disclose(self) -> bool:
        """The accused answers, or else whoever has the keys: earlier committees have them, too."""
        is_test = self.job.accused is not None and self.job.accused.name == "USER"
        accused = USER if is_test else self._winner
        holders = [
            member
            for each in self.job.rounds
            for member in self._living_members(each)
            if self._has_keys(each, is_test=is_test)
        ]
        willing = [accused] if accused in self.alive else holders
        if not willing:
            return False
        root = self._root()
        test = calls.DiscloseTest(self.job.job_id, _secret("test"), keccak(_secret("seed")), _hash("train"))
        model = calls.DiscloseModel(
            self.job.job_id, _secret("x"), _secret("y"), root.model_hash, root.worker_seed
        )  # fmt: skip
        return self._if(willing[0], test if is_test else model)

    def _test(self) -> bool:
        """Every living member commits to what it found, or to its lie."""
        each, number = self.job.rounds[-1], self.job.round
        has_acted = False
        for member in self._living_members(each):
            account = account_of(member)
            if account in each.commitments:
                continue
            metric_e6 = self._truth_e6
            if number == 0 and each.validators.index(account) < self.scenario.liars:
                metric_e6 = BAD_E6 if self.scenario.is_model_good else GOOD_E6
            report = Report(account, metric_e6, metric_e6, bytes(32), keccak(account))
            self.reports[number, account] = report
            commitment = report_commitment(self.market.domain, self.job.job_id, number, report)
            has_acted = self._if(member, calls.CommitReport(self.job.job_id, commitment))
        return has_acted

    def _reveal(self) -> bool:
        """Every living member opens its report."""
        each, number = self.job.rounds[-1], self.job.round
        shut = [
            self.reports[number, account]
            for account in each.commitments
            if account not in each.reports and self.names[account] in self.alive
        ]
        return bool(shut) and self._if(self.names[shut[0].validator], calls.RevealReports(self.job.job_id, tuple(shut)))

    def _appeal(self) -> bool:
        """The honest member of a captured committee appeals, as long as it is the newest finding that it doubts."""
        members = self._living_members(self.job.rounds[0])
        honest = [name for name in members if self._index(name) >= self.scenario.liars]
        is_captured = bool(self.scenario.liars) and self.job.round == 0 and self.job.verdict is not self._true_verdict
        return is_captured and bool(honest) and self._if(honest[0], calls.Appeal(self.job.job_id))

    def _inspect(self) -> bool:
        """The end user appeals, if it believes that the model is not what was found, and there are seats for it."""
        is_bad = self.scenario.is_user_mistaken or not self.scenario.is_model_good
        wanted = 2 * len(self.job.rounds[-1].seats) + 1
        may = self.job.verdict is Verdict.PASS and self.market.registry.free_seats >= wanted
        return is_bad and may and self._if(USER, calls.InspectAppeal(self.job.job_id))

    # --- what they are made of --------------------------------------------------------------------------------------

    @property
    def _winner(self) -> str:
        return self.names[self.job.winner]

    @property
    def _truth_e6(self) -> int:
        return GOOD_E6 if self.scenario.is_model_good else BAD_E6

    @property
    def _true_verdict(self) -> Verdict:
        return Verdict.PASS if self.scenario.is_model_good else Verdict.FAIL

    def _index(self, name: str) -> int:
        return self.job.rounds[0].validators.index(account_of(name))

    def _living_members(self, each: Round) -> list[str]:
        return [name for account in each.validators if (name := self.names[account]) in self.alive]

    def _let_vanish(self) -> None:
        vanishing = self.scenario.vanishing
        if vanishing is None or self.has_vanished or self.job.state is not vanishing.state:
            return
        self.has_vanished = True
        cheapest = min(self.inputs.prices_wei, key=lambda name: self.inputs.prices_wei[name])
        winner = cheapest if self.job.state <= State.REVEALING else self._winner
        match vanishing.party:
            case Party.USER:
                self.alive -= {USER}
            case Party.WINNER:
                self.alive -= {winner}
            case Party.BOTH:
                self.alive -= {USER, winner}
            case Party.VALIDATOR:
                self.alive -= {self.names[self.job.committee[0]]}
            case Party.VALIDATORS:
                self.alive -= {name for name in self.alive if name.startswith("validator")}

    def _terms(self) -> Terms:
        return Terms(
            reserve_wei=self.inputs.reserve_wei,
            fee_wei=self.inputs.fee_wei,
            seats=self.scenario.seats,
            threshold_e6=THRESHOLD_E6,
            tolerance_e6=5_000,
            fingerprint_tolerance_e9=10_000,
            bidding_s=self.inputs.bidding_s,
            training_s=self.inputs.training_s,
            testing_s=self.inputs.testing_s,
            estimated_s=self.inputs.training_s,
            train_key_hash=_hash("train"),
            test_key_hash=_hash("test"),
            seed_hash=keccak(_secret("seed")),
        )

    def _root(self) -> ModelRoot:
        winner = self.names.get(self.job.winner, "")
        return ModelRoot(keccak(b"model"), _hash("x"), _hash("y"), keccak(winner.encode()))

    def _if(self, name: str, call: Call) -> bool:
        """A party does something, if it lives; whether it did."""
        if name not in self.alive:
            return False
        self._do(name, call)
        return True

    def _do(self, name: str, call: Call) -> Sequence[ChainEvent]:
        result = self.market.execute(account_of(name), call, Timestamp(self.now), self.block)
        assert isinstance(result, list), (self.scenario.name, name, call, result)
        self.states += [event.state for event in result if isinstance(event, StateChanged)]
        self.rewards_wei += [event.amount_wei for event in result if isinstance(event, PokeRewarded)]
        return result

    def _worth(self, name: str) -> int:
        account = account_of(name)
        seats = sum(seat.owner == account for seat in self.market.registry.seats.values())
        return self.market.ledger.free(account) + seats * self.inputs.seat_stake_wei


def _secret(name: str) -> bytes:
    """Keys of the validators and the winner are two words long, the rest one."""
    word = keccak(b"secret " + name.encode())
    return word + word if name in ("train", "test") else word


def _hash(name: str) -> bytes:
    return keccak(_secret(name))
