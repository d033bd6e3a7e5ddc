"""The end user's brain: it posts the job, opens the bids, hands out keys when they are due, and takes the model home.

| state | what it does |
|---|---|
| (not posted) | seals the three folders, posts the job |
| BIDDING | announces the job to whoever joined late; brings signed bids on chain together |
| REVEALING | opens every bid whose key was gossiped, in one batch if all are in time |
| AWARDED | has a split drawn; seals training and code keys to the winner |
| KEY_DISPUTE | publishes training and code keys, for the winner could not open its box |
| SEED | reveals its seed share once the seed's block is past |
| KEYING | complains if its half of the model's key is none; seals testing and code keys to each drawn validator |
| VCOMMIT | seals the same keys to the validators of every further round |
| DISCLOSE | publishes testing and code keys, if it is the one accused |
| CLAIMABLE, INSPECT, CLOSED | with y public, opens the model |
| INSPECT, TALLIED | tests the model itself, and appeals if it is far worse than what the committee found |

In a split job the training and testing keys are those of the chunks that were drawn.

Secrets: all bundle keys and the seed share are derived from the job's seed, which is stored before the posting.
"""

from dataclasses import dataclass
from typing import Final, Literal

from morphware.protocol.bidding import MOST_BATCH
from morphware.protocol.brain import Brain, Identity
from morphware.protocol.calls import (
    ComplainX,
    DiscloseKey,
    DiscloseTest,
    Opening,
    Option,
    Post,
    PostKeys,
    PostTestKeys,
    RevealBids,
    RevealSeed,
    Terms,
)
from morphware.protocol.chunks import DataKeys, chunk_name
from morphware.protocol.codec import encode, wei_to_bytes
from morphware.protocol.commitments import bid_commitment, job_id_of, keccak
from morphware.protocol.crypto import KEY_BYTES, Unopenable, derive, model_key, sha256_of, unseal_bid
from morphware.protocol.documents import chunks_of, read_manifest
from morphware.protocol.effects import (
    Evaluate,
    FetchBundle,
    Finish,
    JoinChunks,
    Prefetch,
    Publish,
    SealBundles,
    SealChunks,
)
from morphware.protocol.events import (
    BidHeard,
    BidKeyHeard,
    BundleFailed,
    BundleFetched,
    BundlesSealed,
    CallRefused,
    ChunksSealed,
    Evaluated,
    Event,
)
from morphware.protocol.interests import user_stake
from morphware.protocol.messages import Chunks, Folders, JobAnnounce, JobSpec
from morphware.protocol.relaying import BidCollector
from morphware.protocol.states import Outcome, State
from morphware.protocol.together import is_claim_next, opens_with_poke
from morphware.protocol.units import BAD_MODEL, JobId, Timestamp, Wei
from morphware.protocol.view import BidName, JobView, opening_from_bytes

ANNOUNCE_S: Final = 15
"""A message is heard only by who is there: an open job is announced again this often."""
SEALED_BIDS_MOST: Final = 4096
"""Sealed bids kept for one job; one costs a bond of half the reserve on chain, so an honest job never has as many."""
HOPELESS: Final = frozenset({"BadTerms", "BoxTooLarge", "InsufficientBalance", "NotEnoughSeats"})
"""Refusals of a posting that time does not mend."""
COMPLAIN_SHARE: Final = 2
"""A complaint has half of the keying window to get through: without its own keys in time, the end user loses all."""
INSPECT_SHARE: Final = 4
"""A quarter of the window is kept for the appeal that the own test may lead to."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a person asks for, before the market knows of it. Times in seconds, sizes in bytes."""

    name: str
    kind: Literal["script", "notebook"]
    entry: str
    metric: str
    threshold_e6: int
    reserve_wei: Wei
    fee_wei: Wei
    seats: int
    bidding_s: int
    training_s: int
    testing_s: int
    estimated_s: int
    privacy: Literal["sealed", "public"] = "sealed"
    tolerance_e6: int = 200
    fingerprint_tolerance_e9: int = 10_000
    memory_bytes: int = 4 << 30
    disk_bytes: int = 4 << 30
    requirements: tuple[str, ...] = ()
    environment: str = "python3, CPU, fp32"
    baseline_e6: int | None = None
    """A job that pays a model between this and the threshold its share; None pays all at the threshold or nothing."""
    chunks: int = 0
    """Into how many chunks the data is cut, of which a block picks those that test; 0: the person has chosen."""
    test_chunks: int = 0

    @property
    def escrow_wei(self) -> Wei:
        """What posting locks: the reserve, the committee's fees, and the user's bond of half the reserve."""
        return Wei(self.reserve_wei + self.seats * self.fee_wei + self.reserve_wei // 2)


def user_job_id(identity: Identity, seed: bytes, submission: Submission) -> JobId:
    """The id that the market will give to this job, posted from this seed."""
    hashes = DataKeys.of(seed, submission.chunks, submission.test_chunks).hashes
    return job_id_of(identity.domain, identity.account, keccak(derive(seed, "user-seed")), *hashes)


class UserBrain(Brain):
    """The end user's role in one job."""

    def __init__(self, identity: Identity, seed: bytes, submission: Submission) -> None:
        super().__init__(identity, user_job_id(identity, seed, submission), seed)
        self.submission = submission
        self.keys = DataKeys.of(seed, submission.chunks, submission.test_chunks)
        self.user_seed = self.secret("user-seed")
        self._bundles: BundlesSealed | ChunksSealed | None = None
        self._is_hopeless = False
        self._is_posted = False
        self._sealed_bids: dict[BidName, BidHeard] = {}
        self._bid_keys: dict[BidName, bytes] = {}
        self._shown: set[BidName] = set()
        self._is_model_settled = False
        self._has_model = False
        self._has_test = not submission.chunks
        self._in_time = Timestamp(0)
        self._own_metric_e6: int | None = None
        self._collector = BidCollector(self)

    @property
    def promised_wei(self) -> Wei:
        """What posting will lock, until it has; later an appeal's bond."""
        return self.submission.escrow_wei if self.view is None else super().promised_wei

    @property
    def is_concerned(self) -> bool:
        return True

    def learn(self, event: Event) -> None:
        self._collector.learn(event)
        match event:
            case BundlesSealed() | ChunksSealed():
                self._bundles = event
            case CallRefused() if event.effect_id.startswith("post") and event.error in HOPELESS:
                self._is_hopeless = True
            case CallRefused(error="JobExists") if event.effect_id.startswith("post"):
                self._is_posted = True  # nobody else can: the job's id comes from our own seed share
            case BidHeard() if len(self._sealed_bids) < SEALED_BIDS_MOST or self._is_on_chain(event):
                self._sealed_bids.setdefault((event.bidder, event.commitment), event)
            case BidKeyHeard() if len(self._bid_keys) < SEALED_BIDS_MOST or self._is_on_chain(event):
                self._bid_keys.setdefault((event.bidder, event.commitment), event.key)
            case BundleFailed(name="bundles", reason=reason):
                self._is_hopeless, self.problem = True, reason
            case BundleFetched(name="model"):
                self._is_model_settled = self._has_model = True
            case BundleFetched(name="test"):
                self._has_test = True
            case BundleFailed(name="model"):
                self._is_model_settled, self._own_metric_e6, self.problem = True, BAD_MODEL, event.reason
            case Evaluated() if event.metric_e6 != BAD_MODEL or self.now < self._in_time:
                self._own_metric_e6 = event.metric_e6  # else its time may have been up, which proves nothing
            case _:
                pass

    def plan(self) -> None:
        view = self.view
        if view is None:
            self._plan_posting()
            return
        if view.state is State.BIDDING:
            self._announce(view)
        if self.now < view.deadline:
            match view.state:
                case State.BIDDING:
                    self._collector.plan(view)
                case State.REVEALING:
                    self._open_bids(view)
                case State.AWARDED if view.winner is not None:
                    if self.draw_split(view):
                        box = self.seal_for(view.winner, self.keys.row(view, is_test=False), "data")
                        self.call("keys", PostKeys(self.job_id, box))
                case State.KEY_DISPUTE:
                    keys = self.keys.disclosure(view, is_test=False)
                    seed_hash, test_key_hash = view.terms.seed_hash, view.terms.test_key_hash
                    self.call("disclose-train", DiscloseKey(self.job_id, keys, seed_hash, test_key_hash))
                case State.SEED:
                    self._reveal_seed(view)
                case State.KEYING:
                    if not self._complains(view):
                        self._hand_out_keys(view)
                case State.VCOMMIT if view.test_keys is None and not view.is_public:
                    self._hand_out_keys(view)
                case State.DISCLOSE if view.is_user_accused:
                    keys = self.keys.disclosure(view, is_test=True)
                    seed_hash, train_key_hash = view.terms.seed_hash, view.terms.train_key_hash
                    self.call("disclose-test", DiscloseTest(self.job_id, keys, seed_hash, train_key_hash))
                case State.TALLIED | State.INSPECT:
                    self._inspect(view)
                case _:
                    pass
        if (manifest := read_manifest(view)) is not None:
            self.ask(Prefetch("prefetch|model", "model", manifest.file))
        self._take_model(view)
        if not self._leaves_poke(view):
            self.poke_when_late(view)

    def _leaves_poke(self, view: JobView) -> bool:
        """Whether somebody with more at stake is about to move the job, or the end user with another call."""
        if view.state is State.BIDDING:
            known = self.openings(view) if self.now >= view.deadline else {}
            return opens_with_poke(self, view, tuple(known.values()))
        return is_claim_next(view) and not self.at(view.deadline + self.identity.patience_s)

    def close(self, view: JobView) -> None:
        self._take_model(view)
        if view.outcome is not Outcome.PAID or view.y is None or self._is_model_settled:
            super().close(view)

    # --- posting ----------------------------------------------------------------------------------------------------

    def _plan_posting(self) -> None:
        if self._is_posted:
            return
        if self._is_hopeless or self.is_refused("post"):
            self.ask(Finish("finish", "NOT_POSTED"))
        elif self._bundles is None:
            self.ask(self._sealing())
        else:
            self.call("post", Post(self.terms(), encode(self.spec(self._bundles))))

    def _sealing(self) -> SealBundles | SealChunks:
        keys = self.keys
        if keys.chunks:
            return SealChunks("bundles", keys.code, keys.chunks, self.secret("order"))
        return SealBundles("bundles", keys.code, keys.train, keys.test)

    def terms(self) -> Terms:
        """What goes on chain of the submission."""
        wish = self.submission
        train_key_hash, test_key_hash = self.keys.hashes
        return Terms(
            reserve_wei=wish.reserve_wei,
            fee_wei=wish.fee_wei,
            seats=wish.seats,
            threshold_e6=wish.threshold_e6,
            tolerance_e6=wish.tolerance_e6,
            fingerprint_tolerance_e9=wish.fingerprint_tolerance_e9,
            bidding_s=wish.bidding_s,
            training_s=wish.training_s,
            testing_s=wish.testing_s,
            estimated_s=wish.estimated_s,
            train_key_hash=train_key_hash,
            test_key_hash=test_key_hash,
            seed_hash=keccak(self.user_seed),
            options=(Option.PUBLIC if wish.privacy == "public" else 0)
            + (Option.LINEAR if wish.baseline_e6 is not None else 0)
            + (Option.SPLIT if wish.chunks else 0),
            baseline_e6=wish.baseline_e6 or 0,
        )

    def spec(self, bundles: BundlesSealed | ChunksSealed) -> JobSpec:
        """The specification with the sealed files; in public jobs, with their keys."""
        wish = self.submission
        keys = self.keys.train + self.keys.test + self.keys.code
        data: Folders | Chunks
        if isinstance(bundles, ChunksSealed):
            data = Chunks(test_chunks=wish.test_chunks, files=bundles.chunks, leaves=self.keys.leaves)
        else:
            data = Folders(train=bundles.train, test=bundles.test)
        return JobSpec(
            name=wish.name,
            kind=wish.kind,
            entry=wish.entry,
            metric=wish.metric,
            privacy=wish.privacy,
            estimated_s=wish.estimated_s,
            memory_bytes=wish.memory_bytes,
            disk_bytes=wish.disk_bytes,
            code=bundles.code,
            data=data,
            requirements=wish.requirements,
            environment=wish.environment,
            public_keys=keys if wish.privacy == "public" else b"",
        )

    def _announce(self, view: JobView) -> None:
        start = view.deadline - view.terms.bidding_s
        count = max(0, self.now - start) // ANNOUNCE_S
        if self.now < view.deadline:
            body = JobAnnounce(
                reserve_wei=wei_to_bytes(view.terms.reserve_wei),
                bids_until=view.deadline,
                spec_hash=sha256_of(view.spec),
                torrent_host=self.identity.torrent[0],
                torrent_port=self.identity.torrent[1],
            )
            self.ask(Publish(f"announce|{count}", body))
            self.at(start + (count + 1) * ANNOUNCE_S)

    # --- the auction ------------------------------------------------------------------------------------------------

    def _open_bids(self, view: JobView) -> None:
        """All at once when all are known; else what is known at a sixth and at half of the window, and what came since.

        The last occasion, at five sixths, is for keys that came late: without one there is no such call.
        """
        known = self.openings(view)
        unopened = [(bid.bidder, bid.commitment) for bid in view.unopened]
        openings = {name: known[name] for name in unopened if name in known}
        window = self.identity.timing.revealing_s
        start = view.deadline - window
        if not openings:
            return
        is_last = self.at(start + 5 * window // 6)
        is_news = not self._shown.issuperset(openings) or "reveal|last" in self._asked
        if len(openings) == len(unopened):
            self._reveal("all", openings)
        elif is_last and is_news:
            self._reveal("last", openings)
        elif self.at(start + window // 2):
            self._reveal("half", openings)
        elif self.at(start + window // 6):
            self._reveal("sixth", openings)

    def _reveal(self, occasion: str, openings: dict[BidName, Opening]) -> None:
        names = tuple(openings)
        for first in range(0, len(names), MOST_BATCH):
            key = f"reveal|{occasion}" if first == 0 else f"reveal|{occasion}|{first}"
            batch = names[first : first + MOST_BATCH]
            if self.call(key, RevealBids(self.job_id, tuple(openings[name] for name in batch))):
                self._shown.update(batch)

    def _is_on_chain(self, said: BidHeard | BidKeyHeard) -> bool:
        return self.view is not None and self.view.has_bid(said.bidder, said.commitment)

    def openings(self, view: JobView) -> dict[BidName, Opening]:
        """The openings that the gossiped keys give, each checked against its commitment on chain."""
        found = {}
        for bid in view.bids:
            name = bid.bidder, bid.commitment
            heard, key = self._sealed_bids.get(name), self._bid_keys.get(name)
            if heard is None or key is None:
                continue
            try:
                plain = unseal_bid(heard.sealed, key, heard.nonce, self.job_id + bid.commitment)
            except Unopenable:
                continue
            opening = opening_from_bytes(plain, bid.bidder)
            if bid_commitment(self.identity.domain, self.job_id, opening) == bid.commitment:
                found[name] = opening
        return found

    # --- the committee and the model --------------------------------------------------------------------------------

    def _reveal_seed(self, view: JobView) -> None:
        root, terms = view.model_root, view.terms
        if view.model is None or root is None:
            return
        if self.block > view.model.seed_block:
            call = RevealSeed(self.job_id, self.user_seed, terms.train_key_hash, terms.test_key_hash, root)
            self.call("seed", call)
        else:
            self.at(self.now + 1)

    def _complains(self, view: JobView) -> bool:
        """Whether to demand x in clear before handing out keys: the box is none, and there is a model to open."""
        newest, window = view.round, self.identity.timing.keying_s
        is_first = newest is not None and newest.test_boxes is None
        if not is_first or view.x is not None or read_manifest(view) is None or self._x(view) is not None:
            return False
        if self.at(view.deadline - window + window // COMPLAIN_SHARE):
            return False
        self.call("complain-x", ComplainX(self.job_id))
        return True

    def _hand_out_keys(self, view: JobView) -> None:
        """A sealed box for each validator of the newest round, once a round."""
        newest = view.round
        if newest is None or newest.test_boxes is not None:
            return
        keys = self.keys.row(view, is_test=True)
        boxes = tuple(self.seal_for(validator, keys, "test") for validator in newest.validators)
        self.call(f"test-keys|{newest.number}", PostTestKeys(self.job_id, boxes))

    def _x(self, view: JobView) -> bytes | None:
        """The end user's half of the model's key, as disclosed, or from its box."""
        if view.x is not None:
            return view.x
        manifest = read_manifest(view)
        x = b"" if manifest is None else self.open_box(manifest.x_box)
        is_right = view.model is not None and len(x) == KEY_BYTES and keccak(x) == view.model.x_hash
        return x if is_right else None

    def _take_model(self, view: JobView) -> None:
        y = view.y or (view.model_keys[1] if view.model_keys else None)
        if y is None or view.model is None:
            return
        manifest, x = read_manifest(view), self._x(view)
        if manifest is None:
            self.problem, self._is_model_settled = "The worker's model manifest cannot be read.", True
            return
        if x is None:
            self.problem = "The box for the end user does not hold the half of the model's key that was committed to."
            self._is_model_settled = True
            return
        key = model_key(x, y, self.job_id)
        self.ask(FetchBundle("model", "model", manifest.file, key, view.model.model_hash))

    def _inspect(self, view: JobView) -> None:
        """Test the model as a validator does, as soon as it is there, and doubt a finding that is far too good."""
        window = self.identity.timing.inspect_s if view.state is State.INSPECT else self.identity.timing.appeal_s
        until = Timestamp(view.deadline - max(1, window // INSPECT_SHARE))
        if self._has_model and not self._has_test:
            chunks = chunks_of(view, is_test=True)
            self.ask(JoinChunks("join|test", "test", tuple(chunk_name(chunk) for chunk in chunks)))
            return
        if self._has_model and self._own_metric_e6 is None and self.now < until:
            wish = self.submission
            effect = Evaluate("evaluate", wish.entry, wish.metric, until, wish.memory_bytes, wish.disk_bytes)
            if self.ask(effect):
                self._in_time = Timestamp((self.now + until) // 2)
        if self._own_metric_e6 is not None:
            self.appeal(view, user_stake(view, self._own_metric_e6))
