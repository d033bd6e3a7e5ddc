"""One whole honest job on the market, from posting to payment, as nodes would carry it out.

Relayed, somebody brings what others signed on chain in batches, and a poke shares a transaction with what follows it.
Self-sent, everybody sends what is its own: the dearest way in which an honest job can go.  Documents, boxes and hashes
are as long and as random as real ones.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from morphware.node.bench.gas.accounts import Cast, Party, noise, shuffled
from morphware.node.bench.gas.chain import BenchChain, BenchFailed, Created, Mined
from morphware.node.bench.gas.measured import Run, Spent
from morphware.node.chain.calldata import encode_call
from morphware.protocol import calls
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import encode
from morphware.protocol.commitments import Domain, bid_commitment, keccak, report_commitment, salt_of
from morphware.protocol.messages import Folders, JobSpec, ModelManifest
from morphware.protocol.parameters import Timing
from morphware.protocol.signatures import commit_digest, commit_report_digest
from morphware.protocol.states import Outcome
from morphware.protocol.units import HASH_BYTES, TOKEN, Address, JobId, Wei

SEATS: Final = 5
RESERVE_WEI: Final = Wei(100 * TOKEN)
LOWEST_BID_WEI: Final = Wei(30 * TOKEN)
BID_STEP_WEI: Final = TOKEN // 4
MOST_BATCH: Final = 64
"""What the market takes in one batch."""
BOX_BYTES: Final = 48 + 64
"""A sealed box around two keys of 32 bytes."""
METRIC_E6: Final = 981_234
FINGERPRINT_E9: Final = 123_456_789
TIMING: Final = Timing(
    revealing_s=900,
    keys_s=1800,
    acknowledge_s=7200,
    dispute_s=1800,
    seed_s=1800,
    keying_s=1800,
    report_reveal_s=1800,
    appeal_s=7200,
    claim_s=43_200,
    inspect_s=21_600,
    draw_s=1800,
    unbonding_s=45 * 86_400,
    seed_blocks=2,
    audit_one_in=2**32 - 1,  # the coin is thrown, and its cost measured; it falls for an audit in no run
)
"""Windows cost the same whatever their lengths."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The market that all jobs run on, and who is there."""

    chain: BenchChain
    market: Created
    domain: Domain
    cast: Cast
    served: set[Address] = field(default_factory=set)
    """Validators that some job has drawn: a report is cheaper by a seat that had one before."""


@dataclass(frozen=True, slots=True)
class _Bid:
    bidder: Party
    opening: calls.Opening
    worker_seed: bytes


async def run_job(
    scene: Scene, name: str, bids: int, *, is_relayed: bool, is_poke_apart: bool = False, batch: int = MOST_BATCH
) -> Run:
    """Run a job with so many bids, and check that it was paid as it must be.

    Args:
        is_poke_apart: the openings of a relayed job have transactions of their own.
        batch: of so many openings each.

    Raises:
        BenchFailed: a transaction was refused, or the job went another way.
    """
    job = _Job(scene, name, bids)
    await job.auction(is_relayed=is_relayed, is_poke_apart=is_poke_apart, batch=batch)
    await job.train()
    await job.test(is_relayed=is_relayed)
    await job.pay(is_relayed=is_relayed)
    return Run(bids, tuple(job.spent))


def bid_prices(count: int) -> list[Wei]:
    """Different prices, the same for every kind of auction.

    The order looks random, and a new bid takes the lead as often as in a random order: 1, 1, 2 and 4 times among 2, 5,
    16 and 64 bids, where 0.5, 1.3, 2.4 and 3.7 times are to be expected.
    """
    return [Wei(LOWEST_BID_WEI + rank * BID_STEP_WEI) for rank in shuffled("bid prices", count)]


class _Job:
    """A job on its way; ``spent`` grows with each transaction."""

    def __init__(self, scene: Scene, name: str, bids: int) -> None:
        self.spent: list[Spent] = []
        self._scene = scene
        self._cast = scene.cast
        self._name = name
        self._seed, self._x, self._y = (self._noise(what) for what in ("seed", "x", "y"))
        self._train_keys, self._test_keys = (self._noise(what, 64) for what in ("train keys", "test keys"))
        self.job_id = JobId(bytes(HASH_BYTES))  # not posted yet
        self._bids = [
            self._bid(number, bidder, price)
            for number, (bidder, price) in enumerate(zip(self._cast.bidders, bid_prices(bids), strict=False))
        ]
        self._best = min(self._bids, key=lambda bid: bid.opening.price_wei)
        self._committee: list[Party] = []

    # --- the phases ---

    async def auction(self, *, is_relayed: bool, is_poke_apart: bool, batch: int) -> None:
        """From posting to the award."""
        terms = self._terms()
        posted = await self._send("post", self._cast.user, calls.Post(terms, self._spec()))
        self.job_id = JobId(self._event(posted, "JobPosted")["jobId"])
        signed = [self._sign_bid(bid) for bid in self._bids]
        openings = tuple(bid.opening for bid in self._bids)
        poke = calls.Poke(self.job_id)
        if is_relayed:
            commit = calls.CommitBatch(self.job_id, tuple(signed))
            await self._send("commitBatch", self._cast.relayer, commit, items=len(signed))
            await self._scene.chain.pass_time(terms.bidding_s)
            reveal = calls.RevealBids(self.job_id, openings)
            if is_poke_apart:
                last = await self._send("poke", self._cast.relayer, poke)
                for start in range(0, len(openings), batch):
                    some = openings[start : start + batch]
                    reveal = calls.RevealBids(self.job_id, some)
                    last = await self._send("revealBatch", self._cast.relayer, reveal, items=len(some))
            else:
                last = await self._send("poke+revealBatch", self._cast.relayer, poke, reveal, items=len(openings))
        else:
            for bid, each in zip(self._bids, signed, strict=True):
                await self._send("commit", bid.bidder, calls.Commit(self.job_id, each.commitment))
            await self._scene.chain.pass_time(terms.bidding_s)
            last = await self._send("poke", self._cast.relayer, poke)
            for bid in self._bids:
                last = await self._send("revealBatch", bid.bidder, calls.RevealBids(self.job_id, (bid.opening,)))
        award = self._event(last, "JobAwarded")
        self._require("winner", award["winner"], self._best.bidder.address)
        self._require("price", award["price"], sorted([*(each.price_wei for each in openings), RESERVE_WEI])[1])

    async def train(self) -> None:
        """From the award to the committee."""
        winner, user = self._best.bidder, self._cast.user
        await self._send("postKeys", user, calls.PostKeys(self.job_id, self._noise("box for the winner", BOX_BYTES)))
        await self._send("ack", winner, calls.Acknowledge(self.job_id))
        root = self._model_root()
        manifest = encode(ModelManifest(file=self._file("model"), x_box=self._noise("x box", 80)))
        submit = calls.SubmitModel(self.job_id, root.model_hash, root.x_hash, root.y_hash, root.worker_seed, manifest)
        await self._send("submitModel", winner, submit)
        await self._scene.chain.pass_blocks(TIMING.seed_blocks + 1)
        seed = calls.RevealSeed(self.job_id, self._seed, keccak(self._train_keys), keccak(self._test_keys), root)
        drawn = self._event(await self._send("revealSeed", user, seed), "CommitteeDrawn")
        self._committee = [self._cast.validator(Address(address)) for address in drawn["validators"]]
        self._require("committee's size", len(self._committee), SEATS)
        self._scene.served.update(party.address for party in self._committee)

    async def test(self, *, is_relayed: bool) -> None:
        """From the committee's keys to its verdict."""
        boxes = [[self._noise(f"{side} box {seat}", BOX_BYTES) for seat in range(SEATS)] for side in ("user", "winner")]
        await self._send("postTestKeys", self._cast.user, calls.PostTestKeys(self.job_id, tuple(boxes[0])))
        await self._send("postModelKeys", self._best.bidder, calls.PostModelKeys(self.job_id, tuple(boxes[1])))
        reports = [self._report(seat, party) for seat, party in enumerate(self._committee)]
        signed = [self._sign_report(*pair) for pair in zip(self._committee, reports, strict=True)]
        if is_relayed:
            batch = calls.CommitReportBatch(self.job_id, tuple(signed))
            await self._send("commitReportBatch", self._cast.relayer, batch, items=SEATS)
            opened = calls.RevealReports(self.job_id, tuple(reports))
            await self._send("revealReports", self._cast.relayer, opened, items=SEATS)
            return
        for party, each in zip(self._committee, signed, strict=True):
            await self._send("commitReport", party, calls.CommitReport(self.job_id, each.commitment))
        for party, report in zip(self._committee, reports, strict=True):
            await self._send("revealReports", party, calls.RevealReports(self.job_id, (report,)))

    async def pay(self, *, is_relayed: bool) -> None:
        """From the verdict to the money."""
        root = self._model_root()
        poke = calls.Poke(self.job_id)
        claim = calls.Claim(self.job_id, self._y, root.model_hash, root.x_hash, root.worker_seed)
        await self._scene.chain.pass_time(TIMING.appeal_s)
        if is_relayed:
            await self._send("poke+claim", self._best.bidder, poke, claim)
        else:
            await self._send("poke", self._cast.relayer, poke)
            await self._send("claim", self._best.bidder, claim)
        await self._scene.chain.pass_time(TIMING.inspect_s)
        closed = self._event(await self._send("poke (settles)", self._cast.relayer, poke), "JobClosed")
        self._require("outcome", closed["outcome"], Outcome.PAID)

    # --- what is sent ---

    async def _send(self, what: str, sender: Party, *inside: calls.JobCall, items: int = 1) -> Mined:
        """One transaction; of several calls, through the market's multicall."""
        market = self._scene.market
        data = [encode_call(call, market=market.address)[1] for call in inside]
        whole = data[0] if len(data) == 1 else market.interface.encode("multicall", data)
        mined = await self._scene.chain.send(f"{self._name}: {what}", sender.address, market.address, whole)
        self.spent.append(Spent(what, int(mined.gas_used), items))
        return mined

    def _terms(self) -> calls.Terms:
        return calls.Terms(
            reserve_wei=RESERVE_WEI,
            fee_wei=Wei(2 * TOKEN),
            seats=SEATS,
            threshold_e6=950_000,
            tolerance_e6=1000,
            fingerprint_tolerance_e9=1_000_000,
            bidding_s=3600,
            training_s=7200,
            testing_s=3600,
            estimated_s=2400,
            train_key_hash=keccak(self._train_keys),
            test_key_hash=keccak(self._test_keys),
            seed_hash=keccak(self._seed),
        )

    def _spec(self) -> bytes:
        spec = JobSpec(
            name="Handwritten digits, a small CNN in PyTorch",
            kind="script",
            entry="train.py",
            metric="accuracy",
            privacy="sealed",
            estimated_s=2400,
            memory_bytes=4 << 30,
            disk_bytes=4 << 30,
            code=self._file("code"),
            data=Folders(train=self._file("training set"), test=self._file("testing set")),
            requirements=("torch", "safetensors"),
            environment="python 3.12, torch 2.13, x86_64, cpu",
            public_keys=b"",
        )
        return encode(spec)

    def _file(self, what: str) -> SealedFile:
        magnet = f"magnet:?xt=urn:btih:{self._noise(what, 20).hex()}&x.pe=203.0.113.7:6881"
        return SealedFile(magnet=magnet, size_bytes=12_345_678, sha256=self._noise(f"{what} sha256"))

    def _bid(self, number: int, bidder: Party, price_wei: Wei) -> _Bid:
        worker_seed = self._noise(f"worker seed {number}")
        opening = calls.Opening(bidder.address, price_wei, True, 3600 + number, salt_of(worker_seed))
        return _Bid(bidder, opening, worker_seed)

    def _sign_bid(self, bid: _Bid) -> calls.SignedBid:
        domain, bidder = self._scene.domain, bid.bidder
        commitment = bid_commitment(domain, self.job_id, bid.opening)
        digest = commit_digest(domain, self.job_id, bidder.address, commitment)
        return calls.SignedBid(bidder.address, commitment, bidder.sign(digest))

    def _model_root(self) -> calls.ModelRoot:
        model_hash = self._noise("model")
        return calls.ModelRoot(model_hash, keccak(self._x), keccak(self._y), self._best.worker_seed)

    def _report(self, seat: int, party: Party) -> calls.Report:
        root, salt = self._noise("predictions"), self._noise(f"report's salt {seat}")
        return calls.Report(party.address, METRIC_E6, FINGERPRINT_E9 + seat, root, salt)

    def _sign_report(self, party: Party, report: calls.Report) -> calls.SignedReport:
        domain = self._scene.domain
        commitment = report_commitment(domain, self.job_id, 0, report)
        digest = commit_report_digest(domain, self.job_id, 0, 0, party.address, commitment)
        return calls.SignedReport(party.address, commitment, party.sign(digest))

    def _noise(self, what: str, count: int = 32) -> bytes:
        return noise(f"{self._name} {what}", count)

    # --- what came of it ---

    def _event(self, mined: Mined, name: str) -> dict[str, Any]:
        for log in mined.logs:
            decoded = self._scene.market.interface.decode_log(log.topics, log.data)
            if decoded is not None and decoded[0] == name:
                return decoded[1]
        raise BenchFailed(f"{self._name}: no {name}")

    def _require(self, what: str, actual: object, wanted: object) -> None:
        if actual != wanted:
            raise BenchFailed(f"{self._name}: {what} is {actual}, not {wanted}")
