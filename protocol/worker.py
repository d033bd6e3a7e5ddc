"""The worker's brain: it prices the job, bids sealed, trains if it wins, and is paid for the key.

| state | what it does |
|---|---|
| BIDDING | signs its bid and, sometimes, decoys; commits to what nobody relayed; gossips the ciphertexts |
| REVEALING | gossips the bids' keys, or before, once bidding is over; opens its bids if nobody did by a third of it |
| AWARDED | has a split drawn, if the end user does not |
| KEYED | opens the keys, or complains; fetches and checks code and training set, then accepts or declines |
| TRAINING | trains, seals the model, commits to it on chain |
| KEYING | seals both halves of the model's key to each drawn validator |
| X_DISPUTE | publishes x, for the end user could not open its box |
| VCOMMIT | seals the key to the validators of every further round |
| DISCLOSE | publishes both halves, if it is the one accused |
| VREVEAL | opens all reports in one call, once it has heard every opening |
| TALLIED | if the testing keys are public, tests a model that was failed, and appeals if it was failed wrongly |
| CLAIMABLE | publishes y, which pays it |

A bid is the worker's true cost: in a second-price auction nothing else pays better.  Secrets: salts, one-time keys,
x, y and the seed shares are derived from the job's seed, which is stored before the first commitment.
"""

from dataclasses import dataclass
from typing import Final

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.brain import Brain, Identity
from morphware.protocol.calls import (
    Acknowledge,
    Claim,
    Commit,
    ComplainKey,
    Decline,
    DiscloseModel,
    DiscloseX,
    Opening,
    PostModelKeys,
    Report,
    RevealBids,
    RevealReports,
    SubmitModel,
    Terms,
)
from morphware.protocol.chunks import fetches, files_to_test_on, files_to_train_on, join
from morphware.protocol.codec import encode
from morphware.protocol.commitments import bid_commitment, keccak, report_commitment
from morphware.protocol.crypto import BID_NONCE_BYTES, KEY_BYTES, model_key, seal_bid
from morphware.protocol.documents import (
    are_test_keys,
    are_train_keys,
    disclosed_test_keys,
    disclosed_train_keys,
    public_test_keys,
    public_train_keys,
    read_spec,
)
from morphware.protocol.effects import Evaluate, FetchBundle, Publish, SealModel, Train
from morphware.protocol.events import (
    BundleFailed,
    BundleFetched,
    Evaluated,
    Event,
    ModelSealed,
    ReportHeard,
    Started,
    TrainingEnded,
)
from morphware.protocol.interests import winner_stake
from morphware.protocol.market import WINDOW_MOST_S
from morphware.protocol.messages import BidKey, BidSealed, ModelManifest, ModelReady
from morphware.protocol.metrics import KNOWN_METRICS, MetricDefinition
from morphware.protocol.relaying import BidSigner
from morphware.protocol.states import State, Verdict
from morphware.protocol.together import claim_with_poke
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, opening_bytes

DECOYS_MOST: Final = 3
HOUR_S: Final = 3600
HAND_IN_SHARE: Final = 10
"""A tenth of the training window is kept for sealing and submitting the model."""
HAND_IN_LEAST_S: Final = 12
"""In short windows this is kept: ``now`` lags behind by a block and by finality, and the call needs a block, too."""
HAND_IN_SHARE_MOST: Final = 3
"""Yet no more than a third of the window, however short."""
LEAST_TRAINING_S: Final = 10
"""No model is trained and handed in within a shorter window: the bond would be lost, whatever the price."""
TEST_SHARE: Final = 4
"""A quarter of the window is kept for the appeal that the own test may lead to."""
WORK_MOST: Final = 50
"""The price follows the estimate and the work follows the window: one may not be so many times the other."""
WORK_LEAST_S: Final = 60
"""A window is measured against this estimate at least, so that short jobs may have ample windows."""


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """What the worker's owner wants: prices in wei, limits in bytes, the chance of decoys in 256ths."""

    price_per_hour_wei: Wei
    minimum_price_wei: Wei
    decoy_chance_256: int
    memory_bytes: int
    disk_bytes: int

    def cost_wei(self, estimated_s: int) -> Wei:
        """The cost of a job of this run time; every bid is at least the minimum price."""
        return Wei(max(self.minimum_price_wei, -(-self.price_per_hour_wei * estimated_s // HOUR_S)))


@dataclass(frozen=True, slots=True)
class Bid:
    """One bid of ours with everything that opens it."""

    index: int
    opening: Opening
    commitment: bytes
    key: bytes
    nonce: bytes
    worker_seed: bytes


class WorkerBrain(Brain):
    """A worker's role in one job."""

    poke_rank = 1

    def __init__(self, identity: Identity, job_id: JobId, seed: bytes, policy: WorkerPolicy) -> None:
        super().__init__(identity, job_id, seed)
        self.policy = policy
        self.bids: tuple[Bid, ...] = ()
        self.stays_out_because = ""
        self.x = self.secret("x")
        self.y = self.secret("y")
        self._start: Started | None = None
        self._fetched: set[str] = set()
        self._is_data_bad = False
        self._has_declined = False
        self._is_trained = False
        self._model: ModelSealed | None = None
        self._openings: dict[Address, Report] = {}
        self._own_metric_e6: int | None = None
        self._signer = BidSigner(self)

    @property
    def promised_wei(self) -> Wei:
        """The bonds of bids that are not on chain yet; later an appeal's."""
        view = self.view
        if view is None or view.state is not State.BIDDING:
            return super().promised_wei
        account = self.identity.account
        return Wei(view.bond_wei * sum(not view.has_bid(account, bid.commitment) for bid in self.bids))

    @property
    def is_winner(self) -> bool:
        """Whether this worker won the auction."""
        return self.view is not None and self.view.winner == self.identity.account

    @property
    def is_concerned(self) -> bool:
        view = self.view
        if view is None or view.is_over:
            return False
        if view.award is not None:
            return self.is_winner
        is_bidding = bool(self.bids) and view.state is State.BIDDING
        return is_bidding or any(bid.bidder == self.identity.account for bid in view.bids)

    @property
    def is_occupied(self) -> bool:
        """Whether the job takes up this worker's machine, or may soon: what follows the training takes none of it."""
        return self.is_concerned and self.view is not None and self.view.state <= State.TRAINING

    def learn(self, event: Event) -> None:
        match event:
            case Started():
                self._start = event
            case BundleFetched():
                self._fetched.add(event.name)
            case BundleFailed() if event.name != "test":
                self._is_data_bad, self.problem = True, event.reason
            case TrainingEnded():
                self._is_trained, self.problem = True, event.reason
            case ModelSealed():
                self._model = event
            case ReportHeard():
                self._note_opening(event)
            case Evaluated() if not event.reason:
                self._own_metric_e6 = event.metric_e6
            case _:
                pass

    def plan(self) -> None:
        view = self.view
        if view is None:
            return
        if self.now < view.deadline:
            match view.state:
                case State.BIDDING:
                    self._bid(view)
                case State.REVEALING:
                    self._open_bids(view)
                case State.AWARDED if self.is_winner and view.is_split:
                    if self.at(view.deadline - self.identity.timing.keys_s // 2):
                        self.draw_split(view)
                case State.KEYED if self.is_winner:
                    self._accept(view)
                case State.TRAINING if self.is_winner:
                    self._train(view)
                case State.SEED if self.is_winner:
                    self._announce_model()
                case State.KEYING if self.is_winner:
                    self._hand_out_keys(view)
                case State.VCOMMIT if self.is_winner and view.model_keys is None:
                    self._hand_out_keys(view)
                case State.X_DISPUTE | State.DISCLOSE | State.CLAIMABLE if self.is_winner:
                    self._show_key(view)
                case State.VREVEAL if self.is_winner:
                    self._open_reports(view)
                case State.TALLIED if self.is_winner:
                    self._test_again(view)
                case _:
                    pass
        elif view.state is State.BIDDING and self.identity.relaying is not None:
            self._show_keys(view, "early")
        if view.state is State.TALLIED and self.is_winner:
            self._claim_with_poke(view)
        self.poke_when_late(view)

    # --- the auction ------------------------------------------------------------------------------------------------

    def _bid(self, view: JobView) -> None:
        if self._start is None:
            return
        if not self.bids and not self.stays_out_because:
            self.stays_out_because = self._reason_to_stay_out(view, self._start)
            if not self.stays_out_because:
                self.bids = self._draw_up_bids(view, self._start)
        if self.bids and self.identity.relaying is not None:
            self.at(view.deadline)  # from then on keys may be shown
        waiting = [bid for bid in self.bids if not view.has_bid(self.identity.account, bid.commitment)]
        for bid in self.bids:
            if bid not in waiting:
                self._show_sealed(bid)
        if waiting and not self._signer.waits(view, tuple(bid.commitment for bid in self.bids)):
            for bid in waiting:
                self.call(f"commit|{bid.index}", Commit(self.job_id, bid.commitment))

    def _show_sealed(self, bid: Bid) -> None:
        sealed = seal_bid(opening_bytes(bid.opening), bid.key, bid.nonce, self.job_id + bid.commitment)
        self.ask(Publish(f"sealed|{bid.index}", BidSealed(commitment=bid.commitment, nonce=bid.nonce, sealed=sealed)))

    def _reason_to_stay_out(self, view: JobView, start: Started) -> str:
        """Why this worker does not bid; empty if it does."""
        spec = read_spec(view)
        if spec is None:
            return "the specification cannot be read"
        if view.is_public and not _are_public_keys_right(view):
            return "its public keys are not those that it commits to"
        if view.user == self.identity.account:
            return "it is this account's own job"
        if start.is_busy:
            return "this worker is at capacity"
        if spec.metric not in KNOWN_METRICS:
            return f"the metric {spec.metric} is not known here"
        if spec.memory_bytes > self.policy.memory_bytes or spec.disk_bytes > self.policy.disk_bytes:
            return "it needs more memory or disk than this worker offers"
        if (reason := _hopeless_terms(view.terms, KNOWN_METRICS[spec.metric])) is not None:
            return reason
        if self.policy.cost_wei(view.terms.estimated_s) > view.terms.reserve_wei:
            return "the reserve is below this worker's cost"
        if start.free_wei < view.bond_wei:
            return "the free balance does not cover the bond"
        return ""

    def _draw_up_bids(self, view: JobView, start: Started) -> tuple[Bid, ...]:
        """The authentic bid and, by chance and as far as the free balance goes, decoys of any price."""
        chance = self.secret("decoys")
        affordable = start.free_wei // max(1, view.bond_wei) - 1
        wanted = 1 + chance[1] % DECOYS_MOST if chance[0] < self.policy.decoy_chance_256 else 0
        decoys = max(0, min(wanted, affordable))
        place = chance[2] % (decoys + 1)  # the authentic bid's place among them tells nothing
        cost = self.policy.cost_wei(view.terms.estimated_s)
        bids = []
        for index in range(decoys + 1):
            share = int.from_bytes(self.secret(f"decoy-price|{index}")[:8], "big")
            decoy_price = Wei(1 + share * view.terms.reserve_wei // 2**64)
            worker_seed = self.secret(f"worker-seed|{index}")
            opening = Opening(
                bidder=self.identity.account,
                price_wei=cost if index == place else decoy_price,
                is_authentic=index == place,
                estimated_s=view.terms.training_s,
                salt=keccak(worker_seed),
            )
            bids.append(
                Bid(
                    index=index,
                    opening=opening,
                    commitment=bid_commitment(self.identity.domain, self.job_id, opening),
                    key=self.secret(f"bid-key|{index}"),
                    nonce=self.secret(f"bid-nonce|{index}")[:BID_NONCE_BYTES],
                    worker_seed=worker_seed,
                )
            )
        return tuple(bids)

    def _open_bids(self, view: JobView) -> None:
        account = self.identity.account
        mine = self._show_keys(view, "key")
        unopened = [bid for bid in mine if (account, bid.commitment) not in view.opened]
        window = self.identity.timing.revealing_s
        if not unopened or not self.at(view.deadline - window + window // 3):
            return
        self.call("reveal", RevealBids(self.job_id, tuple(bid.opening for bid in unopened)))

    def _show_keys(self, view: JobView, occasion: str) -> list[Bid]:
        """Say the keys of the bids that are on chain, which are returned: no more can be committed to."""
        mine = [bid for bid in self.bids if view.has_bid(self.identity.account, bid.commitment)]
        for bid in mine:
            self._show_sealed(bid)  # unless it was: the commitment may have become final as bidding ended
            self.ask(Publish(f"{occasion}|{bid.index}", BidKey(commitment=bid.commitment, key=bid.key)))
        return mine

    # --- the training -----------------------------------------------------------------------------------------------

    def _accept(self, view: JobView) -> None:
        """Accept data that is whole and in time. A key box that is none is the end user's fault: it has to answer.

        Anything else that is wrong with the data may be anybody's fault, and is declined.
        """
        spec, keys = read_spec(view), self._data_keys(view)
        is_late = self.at(view.deadline - self.identity.timing.acknowledge_s // 3)
        is_whole = {"code", "train"} <= self._fetched
        is_useless = spec is None or self._is_data_bad or self._winning_bid() is None or self._has_declined
        if keys is None and not is_useless and view.train_keys is None and not view.is_public:
            self.call("complain-key", ComplainKey(self.job_id))
            return
        if spec is None or keys is None or is_useless or (is_late and not is_whole):
            self._has_declined = True  # what arrives after that does not make it an acceptance
            self.call("decline", Decline(self.job_id))
            return
        self.ask(FetchBundle("fetch|code", "code", spec.code, keys[-KEY_BYTES:], None))
        self._fetch("train", files_to_train_on(view), keys)
        if is_whole:
            self.call("ack", Acknowledge(self.job_id))

    def _data_keys(self, view: JobView) -> bytes | None:
        """Training and code key: disclosed, from the box, or public, but those that the posting committed to."""
        for keys in (disclosed_train_keys(view), self.open_box(view.keys_box), public_train_keys(view)):
            if are_train_keys(view, keys):
                return keys
        self.problem = "The end user's key box does not hold the key that the posting committed to."
        return None

    def _fetch(self, name: str, files: dict[str, SealedFile], keys: bytes) -> None:
        """Fetch what the folder ``name`` is made of, and make it."""
        for fetch in fetches(files, keys):
            self.ask(fetch)
        if (joining := join(name, files, self._fetched)) is not None:
            self.ask(joining)

    def _train(self, view: JobView) -> None:
        """Train and hand in. A run that failed is handed in as it is: a rejection costs less than silence."""
        spec, bid = read_spec(view), self._winning_bid()
        if spec is None or bid is None:
            return
        until = Timestamp(view.deadline - hand_in_s(view.terms.training_s))
        self.ask(Train("train", spec.entry, until, spec.memory_bytes, spec.disk_bytes, view.user))
        if self._is_trained:
            self.ask(SealModel("seal", model_key(self.x, self.y, self.job_id)))
        if self._model is not None:
            x_box = self.seal_for(view.user, self.x, "x") or bytes(80)
            manifest = ModelManifest(file=self._model.file, x_box=x_box)
            call = SubmitModel(
                job_id=self.job_id,
                model_hash=self._model.archive_sha256,
                x_hash=keccak(self.x),
                y_hash=keccak(self.y),
                worker_seed=bid.worker_seed,
                model=encode(manifest),
            )
            self.call("submit", call)

    def _announce_model(self) -> None:
        """Say that the model is in the swarm, for those who are behind the chain."""
        if self._model is not None:
            host, port = self.identity.torrent
            self.ask(Publish("ready", ModelReady(file=self._model.file, torrent_host=host, torrent_port=port)))

    def _winning_bid(self) -> Bid | None:
        """The authentic bid, which is the only one of ours that can win; None if a lost journal made it."""
        return next((bid for bid in self.bids if bid.opening.is_authentic), None)

    # --- the test ---------------------------------------------------------------------------------------------------

    def _hand_out_keys(self, view: JobView) -> None:
        """A sealed box for each validator of the newest round, once a round."""
        newest = view.round
        if newest is None or newest.model_boxes is not None:
            return
        boxes = tuple(self.seal_for(validator, self.x + self.y, "model") for validator in newest.validators)
        self.call(f"model-keys|{newest.number}", PostModelKeys(self.job_id, boxes))

    def _show_key(self, view: JobView) -> None:
        """Publish what is asked for: x, both halves to answer a complaint, or y, which pays."""
        root = view.model_root
        if root is None:
            return
        if view.state is State.X_DISPUTE:
            call = DiscloseX(self.job_id, self.x, root.model_hash, root.y_hash, root.worker_seed)
            self.call("disclose-x", call)
        elif view.state is State.CLAIMABLE:
            self.call("claim", Claim(self.job_id, self.y, root.model_hash, root.x_hash, root.worker_seed))
        elif not view.is_user_accused:
            self.call("disclose-model", DiscloseModel(self.job_id, self.x, self.y, root.model_hash, root.worker_seed))

    def _claim_with_poke(self, view: JobView) -> None:
        """The time for appeals is over: end it, and claim in the same transaction."""
        if (root := view.model_root) is not None:
            claim_with_poke(self, view, Claim(self.job_id, self.y, root.model_hash, root.x_hash, root.worker_seed))

    def _note_opening(self, heard: ReportHeard) -> None:
        """Keep an opening that fits its validator's commitment in the newest round."""
        newest, report = None if self.view is None else self.view.round, heard.report
        if newest is None or newest.number != heard.round:
            return
        commitment = report_commitment(self.identity.domain, self.job_id, heard.round, report)
        if newest.committed.get(report.validator) == commitment:
            self._openings[report.validator] = report

    def _open_reports(self, view: JobView) -> None:
        """One call for all of them, as soon as all are known; else every validator opens its own."""
        newest = view.round
        if newest is None:
            return
        shut = [validator for validator in newest.committed if validator not in newest.revealed]
        if shut and all(validator in self._openings for validator in shut):
            reports = tuple(self._openings[validator] for validator in shut)
            self.call(f"reports|{newest.number}", RevealReports(self.job_id, reports))

    def _test_again(self, view: JobView) -> None:
        """Test the own model, if it was failed and anybody can have the testing set, and doubt what differs."""
        spec = read_spec(view)
        keys = disclosed_test_keys(view) or public_test_keys(view)
        if spec is None or view.verdict is not Verdict.FAIL or not are_test_keys(view, keys):
            return
        until = Timestamp(view.deadline - max(1, self.identity.timing.appeal_s // TEST_SHARE))
        self._fetch("test", files_to_test_on(view), keys)
        if "test" in self._fetched and self.now < until:
            self.ask(Evaluate("evaluate", spec.entry, spec.metric, until, spec.memory_bytes, spec.disk_bytes))
        if self._own_metric_e6 is not None:
            self.appeal(view, winner_stake(view, self._own_metric_e6))


def hand_in_s(training_s: int) -> int:
    """What of a training window is kept for sealing and submitting the model."""
    return max(training_s // HAND_IN_SHARE, min(HAND_IN_LEAST_S, training_s // HAND_IN_SHARE_MOST))


def _are_public_keys_right(view: JobView) -> bool:
    """The keys that a public job says are those that it commits to."""
    return are_train_keys(view, public_train_keys(view)) and are_test_keys(view, public_test_keys(view))


def _hopeless_terms(terms: Terms, metric: MetricDefinition) -> str | None:
    """Why no worker gains by these terms, whatever its price; None if one may."""
    if max(terms.bidding_s, terms.training_s, terms.testing_s) > WINDOW_MOST_S:
        return "a window is longer than 30 days"
    if terms.training_s < max(terms.estimated_s, LEAST_TRAINING_S):
        return "the training window is too short for the work"
    if terms.training_s > WORK_MOST * max(WORK_LEAST_S, terms.estimated_s):
        return "the training window is far longer than the estimate that is paid for"
    if terms.threshold_e6 > metric.best_e6:
        return "no model can reach the threshold"
    return None
