"""The validator's brain: once drawn, it fetches, tests, commits to its report, and only then shows it.

| state | what it does |
|---|---|
| KEYING | begins to fetch the three ciphertexts |
| VCOMMIT | opens its two boxes, or complains; opens code, testing set and model, tests, commits to its report |
| DISCLOSE | publishes keys that it could open itself, if the accused party does not in time |
| VREVEAL | gossips the opening of its report; opens it itself if nobody did by a third of the window |
| TALLIED | appeals if the newest finding contradicts what it measured, and that is worth it |

What cannot be had is reported as such: NO_TEST if the end user's part is missing, NO_MODEL if the worker's is.  Once
all three are open, a test that does not end in time has the worst metric, as a model that does not answer has: were it
no test, a worker could hand in a model that hangs the test, and be paid.  The report's salt is derived from the job's
seed, which is stored before the commitment.

Keys that are disclosed while a round tests clear its commitments: the validator commits again, to the same numbers if
it had measured, and to better ones if it had not.
"""

from typing import Final

from morphware.protocol.brain import Brain, Identity
from morphware.protocol.calls import CommitReport, ComplainKeys, DiscloseModel, DiscloseTest, Report, RevealReports
from morphware.protocol.chunks import fetches, files_to_test_on, join
from morphware.protocol.commitments import keccak, report_commitment
from morphware.protocol.crypto import KEY_BYTES, model_key
from morphware.protocol.documents import (
    are_test_keys,
    disclosed_test_keys,
    disclosure_of,
    public_test_keys,
    read_manifest,
    read_spec,
)
from morphware.protocol.effects import Evaluate, FetchBundle, Prefetch, Publish
from morphware.protocol.events import BundleFailed, BundleFetched, Evaluated, Event
from morphware.protocol.interests import validator_stake
from morphware.protocol.messages import ReportNotice, ReportOpening
from morphware.protocol.relaying import ReportRelay
from morphware.protocol.states import State
from morphware.protocol.units import BAD_MODEL, NO_MODEL, NO_TEST, JobId, Timestamp
from morphware.protocol.view import JobView, RoundView, report_of

BUNDLES: Final = ("code", "test", "model")
COMMIT_SHARE: Final = 10
"""A tenth of the testing window is kept for committing to the report."""
COMMIT_LEAST_S: Final = 12
"""In short windows this is kept: ``now`` lags behind by a block and by finality, and the call needs a block, too."""
COMMIT_SHARE_MOST: Final = 3
"""Yet no more than a third of the window, however short."""
SHARE: Final = 3
"""A third of a window is left to those with more at stake, or to what may still arrive."""
LAG_S: Final = 3
"""Openings are said this much after the last commitment, so that peers who are a block behind listen to them."""
LAG_SHARE: Final = 6
"""Yet no later than after a sixth of the window, however short."""


class ValidatorBrain(Brain):
    """A validator's role in one job; it does nothing unless it is drawn."""

    poke_rank = 2

    def __init__(self, identity: Identity, job_id: JobId, seed: bytes) -> None:
        super().__init__(identity, job_id, seed)
        self.report: Report | None = None
        """What was committed to, or is about to be: it stays, whatever comes later, until keys are disclosed."""
        self._report_restarts = 0
        self._fetched: set[str] = set()
        self._failed: dict[str, str] = {}
        self._evaluated: Evaluated | None = None
        self._is_measured = False
        self._relay = ReportRelay(self)

    @property
    def is_drawn(self) -> bool:
        """Whether this account sits on one of the job's committees."""
        return self.view is not None and self.view.round_of(self.identity.account) is not None

    @property
    def is_concerned(self) -> bool:
        return self.is_drawn

    def learn(self, event: Event) -> None:
        self._relay.learn(event)
        match event:
            case BundleFetched():
                self._fetched.add(event.name)
            case BundleFailed():
                self._failed[event.name] = event.reason
            case Evaluated():
                self._evaluated, self.problem = event, event.reason
            case _:
                pass

    def plan(self) -> None:
        view = self.view
        if view is None:
            return
        mine = view.round_of(self.identity.account)
        if mine is not None and self.now < view.deadline:
            match view.state:
                case State.KEYING:
                    self._prefetch(view)
                case State.VCOMMIT if mine is view.round:
                    self._notify(mine)
                    self._prefetch(view)
                    if self.identity.account not in mine.committed:
                        self._test(view, mine)
                    self._relay.collect(view, mine)
                case State.DISCLOSE:
                    self._rescue(view, mine)
                case State.VREVEAL if mine is view.round:
                    self._show(view, mine)
                case State.TALLIED:
                    self._doubt(view)
                case _:
                    pass
        self.poke_when_late(view)

    # --- the test ---------------------------------------------------------------------------------------------------

    def _prefetch(self, view: JobView) -> None:
        spec, manifest = read_spec(view), read_manifest(view)
        if spec is not None:
            self.ask(Prefetch("prefetch|code", "code", spec.code))
        for name, file in files_to_test_on(view).items():
            self.ask(Prefetch(f"prefetch|{name}", name, file))
        if manifest is not None:
            self.ask(Prefetch("prefetch|model", "model", manifest.file))

    def _test(self, view: JobView, mine: RoundView) -> None:
        """Fetch, test and commit, step by step; what is missing for good, or for too long, is reported as its code."""
        spec, manifest = read_spec(view), read_manifest(view)
        if spec is None:
            self._commit(mine, NO_TEST)
            return
        test_keys, model_keys = self._test_keys(view, mine), self._model_keys(view, mine)
        if test_keys is not None:
            self.ask(FetchBundle("fetch|code", "code", spec.code, test_keys[-KEY_BYTES:], None))
            files = files_to_test_on(view)
            for fetch in fetches(files, test_keys):
                self.ask(fetch)
            if (joining := join("test", files, self._fetched)) is not None:
                self.ask(joining)
        if manifest is not None and model_keys is not None and view.model is not None:
            key = model_key(model_keys[:KEY_BYTES], model_keys[KEY_BYTES:], self.job_id)
            self.ask(FetchBundle("fetch|model", "model", manifest.file, key, view.model.model_hash))
        if test_keys is None:
            if not self._complains(view, mine, against_user=True):
                self._commit(mine, NO_TEST)
            return
        if manifest is None:
            self._commit(mine, NO_MODEL)
            return
        if model_keys is None:
            if not self._complains(view, mine, against_user=False):
                self._commit(mine, NO_MODEL)
            return
        kept_s, until = _kept_s(view), self._until(view)
        if self._evaluated is not None:
            self._commit(mine, self._evaluated.metric_e6)
        elif "model" in self._failed:
            self._commit(mine, NO_MODEL)
        elif self._failed:
            self._commit(mine, NO_TEST)
        elif set(BUNDLES) <= self._fetched:
            self.ask(Evaluate("evaluate", spec.entry, spec.metric, until, spec.memory_bytes, spec.disk_bytes))
            if self.at(view.deadline - (kept_s + 1) // 2):  # say something: silence is slashed
                self.problem = "The test of the model did not end in time."
                self._commit(mine, BAD_MODEL)
        elif self.at(until):
            self._commit(mine, NO_MODEL if {"code", "test"} <= self._fetched else NO_TEST)

    def _complains(self, view: JobView, mine: RoundView, *, against_user: bool) -> bool:
        """Whether keys that this validator cannot open may still come; once a side it demands them in clear.

        A party's boxes for a further round come while the round tests already: it has some time to send them.
        """
        is_disclosed = (view.is_public or view.test_keys is not None) if against_user else view.model_keys is not None
        if is_disclosed or self.at(self._until(view)):
            return False
        boxes = mine.test_boxes if against_user else mine.model_boxes
        start = view.deadline - view.terms.testing_s
        if boxes is not None or self.at(start + view.terms.testing_s // SHARE):
            side = "user" if against_user else "winner"
            self.call(f"complain|{side}", ComplainKeys(self.job_id, against_user))
        return True

    def _commit(self, mine: RoundView, metric_e6: int) -> None:
        """Commit to what was found, or to what stands for it: a code, or the worst metric.

        What was measured stays the report to the last bit, for its signature may be with others.
        """
        if self.report is None or (self._report_restarts != mine.restarts and not self._is_measured):
            found = self._evaluated
            self._is_measured = found is not None and found.metric_e6 == metric_e6
            if found is None or found.metric_e6 != metric_e6:
                found = Evaluated(metric_e6, 0, bytes(32), "")
            self.report = report_of(
                self.identity.account,
                found.metric_e6,
                found.fingerprint_e9,
                found.prediction_root,
                self.secret(f"report-salt|{mine.number}|{mine.restarts}"),
            )
            self._report_restarts = mine.restarts
        commitment = self._commitment(mine)
        assert commitment is not None
        assert self.view is not None
        if self._is_measured and self._relay.waits(self.view, mine, commitment):
            return
        self.call(f"commit|{mine.restarts}", CommitReport(self.job_id, commitment))

    def _commitment(self, mine: RoundView) -> bytes | None:
        """The commitment to the report, if there is one."""
        if self.report is None:
            return None
        return report_commitment(self.identity.domain, self.job_id, mine.number, self.report)

    def _until(self, view: JobView) -> Timestamp:
        """Until when the test may run, so that its result can be committed to."""
        return Timestamp(view.deadline - _kept_s(view))

    def _notify(self, mine: RoundView) -> None:
        """Say that this validator holds the round's ciphertexts, once its commitment is on chain."""
        commitment = mine.committed.get(self.identity.account)
        if commitment is not None:
            host, port = self.identity.torrent
            notice = ReportNotice(round=mine.number, commitment=commitment, torrent_host=host, torrent_port=port)
            self.ask(Publish(f"notice|{mine.restarts}", notice))

    # --- the report -------------------------------------------------------------------------------------------------

    def _show(self, view: JobView, mine: RoundView) -> None:
        """Say the opening, for whoever opens all in one call; from a third of the window on, open it alone."""
        account, report = self.identity.account, self.report
        is_ours = report is not None and mine.committed.get(account) == self._commitment(mine)
        if report is None or not is_ours or account in mine.revealed:
            return
        window = self.identity.timing.report_reveal_s
        start = view.deadline - window
        if self.at(start + min(LAG_S, window // LAG_SHARE)):
            opening = ReportOpening(
                round=mine.number,
                metric_e6=report.metric_e6,
                fingerprint_e9=report.fingerprint_e9,
                prediction_root=report.prediction_root,
                salt=report.salt,
            )
            self.ask(Publish("opening", opening))
        if self.at(start + window // SHARE):
            self.call("report", RevealReports(self.job_id, (report,)))

    def _doubt(self, view: JobView) -> None:
        """Appeal, if the newest finding would cost this seat what its own test does not deserve.

        Only a whole test is sure of itself; a test that broke off, or ran out of time, may be this machine's fault.
        Those whom it concerns go one after another, so that not all of them pay for the same appeal.
        """
        found = self._evaluated
        if found is None or found.reason or self.report is None or found.metric_e6 != self.report.metric_e6:
            return
        account, stake_wei = self.identity.account, self.identity.seat_stake_wei
        stake = validator_stake(view, account, stake_wei)
        if not stake.saved_wei:
            return
        others = [other for other in view.everybody_drawn if validator_stake(view, other, stake_wei).saved_wei]
        window = self.identity.timing.appeal_s
        share = window // SHARE
        if self.at(view.deadline - window + share + share * others.index(account) // max(1, len(others))):
            self.appeal(view, stake)

    # --- keys -------------------------------------------------------------------------------------------------------

    def _rescue(self, view: JobView, mine: RoundView) -> None:
        """Answer for an accused party that does not, late: whoever holds the keys may, and the round goes on."""
        root, terms = view.model_root, view.terms
        if not self.at(view.deadline - self.identity.timing.dispute_s // SHARE):
            return
        if view.is_user_accused:
            if (keys := self._test_keys(view, mine)) is not None:
                call = DiscloseTest(self.job_id, disclosure_of(view, keys), terms.seed_hash, terms.train_key_hash)
                self.call("rescue|test", call)
        elif root is not None and (keys := self._model_keys(view, mine)) is not None:
            x, y = keys[:KEY_BYTES], keys[KEY_BYTES:]
            self.call("rescue|model", DiscloseModel(self.job_id, x, y, root.model_hash, root.worker_seed))

    def _test_keys(self, view: JobView, mine: RoundView) -> bytes | None:
        """Testing and code key: disclosed, from the box, or public, but those that the posting committed to."""
        box = self._unseal_mine(mine, mine.test_boxes)
        for keys in (disclosed_test_keys(view), box, public_test_keys(view)):
            if are_test_keys(view, keys):
                return keys
        if mine.test_boxes is not None:
            self.problem = "The end user's key box does not hold the key that the posting committed to."
        return None

    def _model_keys(self, view: JobView, mine: RoundView) -> bytes | None:
        """Both halves of the model's key, if they are those that the submission committed to."""
        halves = b"".join(view.model_keys) if view.model_keys else self._unseal_mine(mine, mine.model_boxes)
        x, y = halves[:KEY_BYTES], halves[KEY_BYTES:]
        is_whole = len(halves) == 2 * KEY_BYTES and view.model is not None
        if view.model is None or not is_whole or (keccak(x), keccak(y)) != (view.model.x_hash, view.model.y_hash):
            if mine.model_boxes is not None:
                self.problem = "The worker's key box does not hold the keys that the submission committed to."
            return None
        return halves

    def _unseal_mine(self, mine: RoundView, boxes: tuple[bytes, ...] | None) -> bytes:
        seat = mine.validators.index(self.identity.account)
        return b"" if boxes is None or seat >= len(boxes) else self.open_box(boxes[seat])


def _kept_s(view: JobView) -> int:
    """What of the testing window is kept for committing."""
    testing_s = view.terms.testing_s
    return max(testing_s // COMMIT_SHARE, min(COMMIT_LEAST_S, testing_s // COMMIT_SHARE_MOST))
