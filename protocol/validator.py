"""The validator's brain: once drawn, it fetches, tests, commits to its report, and only then shows it.

| state | what it does |
|---|---|
| KEYING | begins to fetch the three ciphertexts |
| VCOMMIT | opens its two boxes, opens code, testing set and model, tests, commits to the report |
| VREVEAL | opens its report |

What cannot be had is reported as such: NO_TEST if the end user's part is missing, NO_MODEL if the worker's is.  Once
all three are open, a test that does not end in time has the worst metric, as a model that does not answer has: were it
no test, a worker could hand in a model that hangs the test, and be paid.  The report's salt is derived from the job's
seed, which is stored before the commitment.
"""

from typing import Final

from morphware.protocol.brain import Brain, Identity
from morphware.protocol.calls import CommitReport, Report, RevealReports
from morphware.protocol.codec import Malformed, decode
from morphware.protocol.commitments import keccak, report_commitment
from morphware.protocol.crypto import KEY_BYTES, Unopenable, model_key, unseal
from morphware.protocol.effects import Evaluate, FetchBundle, Prefetch, Publish
from morphware.protocol.events import BundleFailed, BundleFetched, Evaluated, Event
from morphware.protocol.messages import JobSpec, ModelManifest, ReportNotice
from morphware.protocol.states import State
from morphware.protocol.units import BAD_MODEL, NO_MODEL, NO_TEST, JobId, Timestamp, is_code
from morphware.protocol.view import JobView

BUNDLES: Final = ("code", "test", "model")
COMMIT_SHARE: Final = 10
"""A tenth of the testing window is kept for committing to the report."""
COMMIT_LEAST_S: Final = 12
"""In short windows this is kept: ``now`` lags behind by a block and by finality, and the call needs a block, too."""
COMMIT_SHARE_MOST: Final = 3
"""Yet no more than a third of the window, however short."""


class ValidatorBrain(Brain):
    """A validator's role in one job; it does nothing unless it is drawn."""

    poke_rank = 2

    def __init__(self, identity: Identity, job_id: JobId, seed: bytes) -> None:
        super().__init__(identity, job_id, seed)
        self._fetched: set[str] = set()
        self._failed: dict[str, str] = {}
        self._evaluated: Evaluated | None = None
        self._commitment: bytes | None = None

    @property
    def is_drawn(self) -> bool:
        """Whether this account sits on the job's committee."""
        return self.view is not None and self.identity.account in self.view.validators

    @property
    def is_concerned(self) -> bool:
        return self.is_drawn

    def learn(self, event: Event) -> None:
        match event:
            case BundleFetched():
                self._fetched.add(event.name)
            case BundleFailed():
                self._failed[event.name] = event.reason
            case Evaluated() if self._commitment is None:  # what was committed to stays, whatever comes later
                self._evaluated, self.problem = event, event.reason
            case _:
                pass

    def plan(self) -> None:
        view = self.view
        if view is None:
            return
        if self.is_drawn and self.now < view.deadline:
            match view.state:
                case State.KEYING:
                    self._prefetch(view)
                case State.VCOMMIT:
                    self._notify(view)
                    self._prefetch(view)
                    self._test(view)
                case State.VREVEAL if self._may_reveal(view):
                    if (report := self._report(view)) is not None:
                        self.call("report", RevealReports(self.job_id, (report,)))
                case _:
                    pass
        self.poke_when_late(view)

    def _prefetch(self, view: JobView) -> None:
        spec, manifest = _documents(view)
        if spec is not None:
            self.ask(Prefetch("prefetch|code", "code", spec.code))
            self.ask(Prefetch("prefetch|test", "test", spec.test))
        if manifest is not None:
            self.ask(Prefetch("prefetch|model", "model", manifest.file))

    def _test(self, view: JobView) -> None:
        spec, manifest = _documents(view)
        if spec is None or self._test_keys(view) is None:
            self._commit(view, NO_TEST)
            return
        if manifest is None or self._model_key(view) is None or view.model is None:
            self._commit(view, NO_MODEL)
            return
        test_key, code_key = self._test_keys(view) or (b"", b"")
        self.ask(FetchBundle("fetch|code", "code", spec.code, code_key, None))
        self.ask(FetchBundle("fetch|test", "test", spec.test, test_key, None))
        key = self._model_key(view) or b""
        self.ask(FetchBundle("fetch|model", "model", manifest.file, key, view.model.model_hash))
        testing_s = view.terms.testing_s
        kept_s = max(testing_s // COMMIT_SHARE, min(COMMIT_LEAST_S, testing_s // COMMIT_SHARE_MOST))
        until = view.deadline - kept_s
        if self._evaluated is not None:
            self._commit(view, self._evaluated.metric_e6)
        elif "model" in self._failed:
            self._commit(view, NO_MODEL)
        elif self._failed:
            self._commit(view, NO_TEST)
        elif set(BUNDLES) <= self._fetched:
            self.ask(
                Evaluate("evaluate", spec.entry, spec.metric, Timestamp(until), spec.memory_bytes, spec.disk_bytes)
            )
            if self.at(view.deadline - (kept_s + 1) // 2):  # say something: silence is slashed
                self.problem = "The test of the model did not end in time."
                self._commit(view, BAD_MODEL)
        elif self.at(until):
            self._commit(view, NO_MODEL if {"code", "test"} <= self._fetched else NO_TEST)

    def _commit(self, view: JobView, metric_e6: int) -> None:
        """Commit to what was found, or to what stands for it: a code, or the worst metric."""
        if self.identity.account in view.committed:
            return
        if self._commitment is None:
            if is_code(metric_e6) or self._evaluated is None:
                self._evaluated = Evaluated(metric_e6, 0, bytes(32), self.problem)
            report = self._report(view)
            assert report is not None
            assert view.committee is not None
            self._commitment = report_commitment(self.identity.domain, self.job_id, view.committee.round, report)
        self.call("commit", CommitReport(self.job_id, self._commitment))

    def _notify(self, view: JobView) -> None:
        """Say that this validator holds the round's ciphertexts, once its commitment is on chain."""
        commitment = view.committed.get(self.identity.account)
        if commitment is not None and view.committee is not None:
            host, port = self.identity.torrent
            notice = ReportNotice(
                round=view.committee.round, commitment=commitment, torrent_host=host, torrent_port=port
            )
            self.ask(Publish("notice", notice))

    def _may_reveal(self, view: JobView) -> bool:
        """The commitment that the chain holds of us is the one to our report, and is not open yet."""
        is_ours = self._commitment is not None and view.committed.get(self.identity.account) == self._commitment
        return is_ours and self.identity.account not in view.revealed

    def _report(self, view: JobView) -> Report | None:
        found = self._evaluated
        if found is None or view.committee is None:
            return None
        return Report(
            validator=self.identity.account,
            metric_e6=found.metric_e6,
            fingerprint_e9=found.fingerprint_e9,
            prediction_root=found.prediction_root,
            salt=self.secret(f"report-salt|{view.committee.round}"),
        )

    def _test_keys(self, view: JobView) -> tuple[bytes, bytes] | None:
        """Testing and code key, if the box holds what the posting committed to."""
        keys = self._unseal_mine(view, view.test_boxes)
        if len(keys) != 2 * KEY_BYTES or keccak(keys) != view.terms.test_key_hash:
            self.problem = "The end user's key box does not hold the key that the posting committed to."
            return None
        return keys[:32], keys[32:]

    def _model_key(self, view: JobView) -> bytes | None:
        """The model's key, if both halves are those that the submission committed to."""
        halves = self._unseal_mine(view, view.model_boxes)
        x, y = halves[:32], halves[32:]
        if len(halves) != 2 * KEY_BYTES or view.model is None:
            are_right = False
        else:
            are_right = keccak(x) == view.model.x_hash and keccak(y) == view.model.y_hash
        if not are_right:
            self.problem = "The worker's key box does not hold the keys that the submission committed to."
            return None
        return model_key(x, y, self.job_id)

    def _unseal_mine(self, view: JobView, boxes: tuple[bytes, ...] | None) -> bytes:
        seat = view.validators.index(self.identity.account)
        if boxes is None or seat >= len(boxes):
            return b""
        try:
            return unseal(boxes[seat], self.identity.encryption_secret)
        except Unopenable:
            return b""


def _documents(view: JobView) -> tuple[JobSpec | None, ModelManifest | None]:
    """Specification and manifest, as far as they can be read."""
    spec: JobSpec | None = None
    manifest: ModelManifest | None = None
    try:
        spec = decode(view.spec, JobSpec)
        manifest = decode(view.model.model, ModelManifest) if view.model else None
    except Malformed:
        pass
    return spec, manifest
