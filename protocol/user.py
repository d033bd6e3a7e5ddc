"""The end user's brain: it posts the job, opens the bids, hands out keys when they are due, and takes the model home.

| state | what it does |
|---|---|
| (not posted) | seals the three folders, posts the job |
| BIDDING | announces the job to whoever joined late |
| REVEALING | opens every bid whose key was gossiped, in one batch if all are in time |
| AWARDED | seals training and code keys to the winner |
| SEED | reveals its seed share once the seed's block is past |
| KEYING | seals testing and code keys to each drawn validator |
| CLAIMABLE, CLOSED | with y public, opens the model |

Secrets: the three bundle keys and the seed share are derived from the job's seed, which is stored before the posting.
"""

from dataclasses import dataclass
from typing import Final, Literal

from morphware.protocol.brain import Brain, Identity
from morphware.protocol.calls import (
    Opening,
    Post,
    PostKeys,
    PostTestKeys,
    RevealBids,
    RevealSeed,
    Terms,
)
from morphware.protocol.codec import Malformed, decode, encode, wei_to_bytes
from morphware.protocol.commitments import bid_commitment, job_id_of, keccak
from morphware.protocol.crypto import Unopenable, derive, model_key, sha256_of, unseal, unseal_bid
from morphware.protocol.effects import FetchBundle, Finish, Prefetch, Publish, SealBundles
from morphware.protocol.events import (
    BidHeard,
    BidKeyHeard,
    BundleFailed,
    BundleFetched,
    BundlesSealed,
    CallRefused,
    Event,
)
from morphware.protocol.messages import JobAnnounce, JobSpec, ModelManifest
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId, Wei
from morphware.protocol.view import BidName, JobView, opening_from_bytes

ANNOUNCE_S: Final = 15
"""A message is heard only by who is there: an open job is announced again this often."""
SEALED_BIDS_MOST: Final = 4096
"""Sealed bids kept for one job; one costs a bond of half the reserve on chain, so an honest job never has as many."""
HOPELESS: Final = frozenset({"BadTerms", "BoxTooLarge", "InsufficientBalance", "NotEnoughSeats"})
"""Refusals of a posting that time does not mend."""
OPENINGS_AT_ONCE: Final = 100
"""Bids opened by one call, so that it fits a block however many decoys there are."""


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

    @property
    def escrow_wei(self) -> Wei:
        """What posting locks: the reserve, the committee's fees, and the user's bond of half the reserve."""
        return Wei(self.reserve_wei + self.seats * self.fee_wei + self.reserve_wei // 2)


def user_job_id(identity: Identity, seed: bytes) -> JobId:
    """The id that the market will give to the job posted from this seed."""
    return job_id_of(identity.domain, identity.account, keccak(derive(seed, "user-seed")))


class UserBrain(Brain):
    """The end user's role in one job."""

    def __init__(self, identity: Identity, seed: bytes, submission: Submission) -> None:
        super().__init__(identity, user_job_id(identity, seed), seed)
        self.submission = submission
        self.code_key = self.secret("key|code")
        self.train_key = self.secret("key|train")
        self.test_key = self.secret("key|test")
        self.user_seed = self.secret("user-seed")
        self._bundles: BundlesSealed | None = None
        self._is_hopeless = False
        self._is_posted = False
        self._sealed_bids: dict[BidName, BidHeard] = {}
        self._bid_keys: dict[BidName, bytes] = {}
        self._shown: set[BidName] = set()
        self._is_model_settled = False

    @property
    def is_concerned(self) -> bool:
        return True

    def learn(self, event: Event) -> None:
        match event:
            case BundlesSealed():
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
            case BundleFetched(name="model") | BundleFailed(name="model"):
                self._is_model_settled = True
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
                case State.REVEALING:
                    self._open_bids(view)
                case State.AWARDED if view.winner is not None:
                    box = self.seal_for(view.winner, self.train_key + self.code_key, "data")
                    self.call("keys", PostKeys(self.job_id, box))
                case State.SEED if view.model is not None:
                    self._reveal_seed(view.model.seed_block)
                case State.KEYING if view.test_boxes is None:
                    keys = self.test_key + self.code_key
                    boxes = tuple(self.seal_for(validator, keys, "test") for validator in view.validators)
                    self.call("test-keys", PostTestKeys(self.job_id, boxes))
                case _:
                    pass
        if (manifest := self._manifest(view)) is not None:
            self.ask(Prefetch("prefetch|model", "model", manifest.file))
        self._take_model(view)
        self.poke_when_late(view)

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
            self.ask(SealBundles("bundles", self.code_key, self.train_key, self.test_key))
        else:
            self.call("post", Post(self.terms(), encode(self.spec(self._bundles))))

    def terms(self) -> Terms:
        """What goes on chain of the submission."""
        wish = self.submission
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
            train_key_hash=keccak(self.train_key + self.code_key),
            test_key_hash=keccak(self.test_key + self.code_key),
            seed_hash=keccak(self.user_seed),
        )

    def spec(self, bundles: BundlesSealed) -> JobSpec:
        """The specification with the three sealed files; in public jobs, with their keys."""
        wish = self.submission
        keys = self.train_key + self.test_key + self.code_key
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
            train=bundles.train,
            test=bundles.test,
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
        for first in range(0, len(names), OPENINGS_AT_ONCE):
            key = f"reveal|{occasion}" if first == 0 else f"reveal|{occasion}|{first}"
            batch = names[first : first + OPENINGS_AT_ONCE]
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

    def _reveal_seed(self, seed_block: int) -> None:
        if self.block > seed_block:
            self.call("seed", RevealSeed(self.job_id, self.user_seed))
        else:
            self.at(self.now + 1)

    def _manifest(self, view: JobView) -> ModelManifest | None:
        if view.model is None:
            return None
        try:
            return decode(view.model.model, ModelManifest)
        except Malformed as error:
            self.problem = f"The worker's model manifest cannot be read: {error}."
            return None

    def _take_model(self, view: JobView) -> None:
        manifest = self._manifest(view)
        if view.y is None or view.model is None:
            return
        if manifest is None:
            self._is_model_settled = True  # there is nothing to take home, and there never will be
            return
        try:
            x = unseal(manifest.x_box, self.identity.encryption_secret)
        except Unopenable as error:
            self.problem, self._is_model_settled = f"The model's key does not open: {error}.", True
            return
        if keccak(x) != view.model.x_hash:
            self.problem, self._is_model_settled = "The model's key is not the one that was committed to.", True
            return
        key = model_key(x, view.y, self.job_id)
        self.ask(FetchBundle("model", "model", manifest.file, key, view.model.model_hash))
