"""Carries out effects: one method for each, which ends in the event that answers it.

Every method is safe to repeat.  A world that fails raises an exception of our tree, and the engine tries again later;
what no trying mends comes back as an event that says so.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Final

import structlog
import trio

from morphware.node.artifacts.bundles import open_bundle, publish_folder
from morphware.node.artifacts.errors import ArtifactCorrupt, ArtifactTooLarge, DiskFull, SourceRefused
from morphware.node.brake import Brake, Brakes
from morphware.node.chain.calldata import name_of
from morphware.node.chunks import ChunksRefused, cut, join
from morphware.node.curve import Curve
from morphware.node.directory import Directory
from morphware.node.errors import MorphwareError
from morphware.node.feed import Feed
from morphware.node.journal import Journal
from morphware.node.machines import WORKER, Machine
from morphware.node.ports import Artifacts, Chain, Gossip, Limits, Refused, Runner, RunResult, Transfer
from morphware.node.runner.errors import SandboxFailed, SandboxUnavailable
from morphware.node.speech import Speaker
from morphware.node.treasury import Treasury
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.chunks import chunk_name
from morphware.protocol.effects import (
    Appraise,
    Effect,
    Evaluate,
    FetchBundle,
    Finish,
    Fund,
    JoinChunks,
    Prefetch,
    Publish,
    SealBundles,
    SealChunks,
    SealModel,
    Send,
    Train,
)
from morphware.protocol.events import (
    Appraised,
    BundleFailed,
    BundleFetched,
    BundlesSealed,
    CallDone,
    CallRefused,
    ChunksSealed,
    Evaluated,
    Funded,
    LocalEvent,
    ModelSealed,
    TrainingEnded,
)
from morphware.protocol.messages import ReportSigned
from morphware.protocol.units import BAD_MODEL, HASH_BYTES, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView

log = structlog.get_logger()

MAX_REASON_CHARACTERS: Final = 300
LEAST_RUN_S: Final = 1.0
"""A run whose time is up still starts, so that it ends with a reason instead of never having been."""
LAST_FLUSH_S: Final = 0.5
"""Long enough for the curve's last points to be handed on."""


@dataclass(frozen=True, slots=True)
class Performer:
    """The hands of one node. ``folder`` holds a folder for each job."""

    folder: Path
    account: Address
    journal: Journal
    chain: Chain
    artifacts: Artifacts
    gossip: Gossip
    speaker: Speaker
    runner: Runner
    directory: Directory
    feed: Feed
    treasury: Treasury
    promised: Callable[[Machine], Wei]
    """What the account's other jobs are about to lock of its free balance."""
    most: Callable[[Machine], Limits]
    """What a role's job may use of this machine; its specification is a stranger's, and names any number."""
    brakes: Brakes

    async def perform(
        self, machine: Machine, effect: Effect, view: JobView | None, chain_time: Callable[[], Timestamp]
    ) -> LocalEvent | None:
        """Carry out one effect and return the event that answers it, if it has an answer."""
        job_id = machine.job_id
        match effect:
            case Send():
                return await self._send(machine, effect)
            case Publish(body=body):
                await self.speaker.say(job_id, body)
                if isinstance(body, ReportSigned):  # its validator has tested, whoever brings its commitment on chain
                    self.feed.say("signed", job_id=job_id.hex(), role=machine.role)
            case SealBundles():
                return await self._seal_bundles(machine, effect)
            case SealChunks():
                return await self._seal_chunks(machine, effect)
            case JoinChunks():
                return await self._join_chunks(machine, effect)
            case Prefetch():
                await self._prefetch(job_id, effect, view)
            case FetchBundle():
                return await self._fetch_bundle(machine, effect, view)
            case Train():
                return await self._train(machine, effect, view, chain_time)
            case SealModel(key=key):
                return await self._seal_model(job_id, key)
            case Evaluate():
                return await self._evaluate(machine, effect, effect.until - chain_time())
            case Fund():
                return await self._fund(machine, effect)
            case Appraise():
                return await self._appraise(effect)
            case Finish():
                pass  # the engine ends the machine itself
        return None

    def job_folder(self, job_id: JobId) -> Path:
        """Where a job's files lie."""
        return self.folder / job_id.hex()

    def role_folder(self, machine: Machine) -> Path:
        """Where one role's unpacked files lie."""
        return self.job_folder(machine.job_id) / machine.role

    async def _send(self, machine: Machine, effect: Send) -> CallDone | CallRefused:
        name = name_of(effect.call)
        job_id = machine.job_id.hex()
        self.feed.say("sending", job_id=job_id, role=machine.role, call=name)
        result = await self.chain.send(effect.call, effect_id=f"{job_id}/{machine.role}/{effect.id}")
        if isinstance(result, Refused):
            self.feed.say("refused", job_id=job_id, role=machine.role, call=name, reason=result.sentence)
            return CallRefused(effect.id, result.error, result.sentence)
        with self.journal.transaction():
            self.journal.add_cost(
                machine.job_id, machine.role, effect.id, name, result.gas_used, result.fee_wei, result.transaction_hash
            )
        self.feed.say("sent", job_id=job_id, role=machine.role, call=name, gas=result.gas_used)
        return CallDone(effect.id)

    async def _fund(self, machine: Machine, effect: Fund) -> Funded:
        """An account with fewer tokens than that has what it has: what follows is for the brain to say."""
        promised = self.promised(machine)
        free = await self.treasury.fund_bonds(effect.amount_wei, most=1, besides=promised)
        return Funded(effect.id, Wei(max(0, free - promised)))

    async def _appraise(self, effect: Appraise) -> Appraised:
        """All accounts side by side; there are no more of them than a batch has bids."""
        free_wei: dict[Address, Wei] = {}
        failures: list[MorphwareError] = []

        async def read(account: Address) -> None:
            try:
                free_wei[account] = await self.chain.free_balance(account)
            except MorphwareError as error:
                failures.append(error)

        async with trio.open_nursery() as nursery:
            for account in effect.accounts:
                nursery.start_soon(read, account)
        if failures:
            raise failures[0]
        return Appraised(effect.id, tuple(free_wei[account] for account in effect.accounts))

    # --- artifacts --------------------------------------------------------------------------------------------------

    async def _seal_bundles(self, machine: Machine, effect: SealBundles) -> BundlesSealed | BundleFailed:
        """Nothing is at stake yet: what cannot be sealed now is for a person to mend, and to submit again."""
        sources = machine.sources
        assert sources is not None
        wanted = {
            "code": (sources.code, effect.code_key),
            "train": (sources.train, effect.train_key),
            "test": (sources.test, effect.test_key),
        }
        try:
            files = {name: await self._seal(machine.job_id, name, *what) for name, what in wanted.items()}
        except (SourceRefused, DiskFull, ArtifactTooLarge) as error:
            return BundleFailed("bundles", f"The job's folders cannot be sealed: {error.sentence}")
        return BundlesSealed(**{name: file for name, (file, _) in files.items()})

    async def _seal_chunks(self, machine: Machine, effect: SealChunks) -> ChunksSealed | BundleFailed:
        """The same for data that is cut: the chunks stay, as the end user tests with those that are drawn."""
        sources, folder = machine.sources, self.role_folder(machine)
        assert sources is not None
        names = [chunk_name(chunk) for chunk in range(len(effect.chunk_keys))]
        try:
            await trio.to_thread.run_sync(
                cut, sources.train, folder, names, effect.order_key, trio.from_thread.check_cancelled
            )
            code, _ = await self._seal(machine.job_id, "code", sources.code, effect.code_key)
            wanted = zip(names, effect.chunk_keys, strict=True)
            sealed = [await self._seal(machine.job_id, name, folder / name, key) for name, key in wanted]
        except (SourceRefused, DiskFull, ArtifactTooLarge, ChunksRefused) as error:
            return BundleFailed("bundles", f"The job's folders cannot be sealed: {error.sentence}")
        return ChunksSealed(code, tuple(file for file, _ in sealed))

    async def _join_chunks(self, machine: Machine, effect: JoinChunks) -> BundleFetched | BundleFailed:
        """Chunks that do not fit each other are data that cannot be used; a whole folder is taken as it is."""
        folder = self.role_folder(machine)
        if not (folder / effect.name).exists():
            parts = [folder / name for name in effect.chunks]
            try:
                await trio.to_thread.run_sync(join, parts, folder / effect.name, trio.from_thread.check_cancelled)
            except ChunksRefused as error:
                return BundleFailed(effect.name, f"The {effect.name} data cannot be used: {error}")
        self.feed.say("fetched", job_id=machine.job_id.hex(), account=self.account.hex(), name=effect.name)
        return BundleFetched(effect.name)

    async def _seal_model(self, job_id: JobId, key: bytes) -> ModelSealed:
        """What the job left behind; a model that cannot travel is handed in as a failure, which beats silence."""
        model = self.job_folder(job_id) / "worker" / "model"
        model.mkdir(parents=True, exist_ok=True)
        try:
            file, archive_sha256 = await self._seal(job_id, "model", model, key)
        except (SourceRefused, ArtifactTooLarge) as error:
            await trio.to_thread.run_sync(_leave_only_reason, model, error.sentence)
            file, archive_sha256 = await self._seal(job_id, "model", model, key)
        return ModelSealed(file, archive_sha256)

    async def _seal(self, job_id: JobId, name: str, source: Path, key: bytes) -> tuple[SealedFile, bytes]:
        sealed = self._sealed_folder(job_id)
        published = await publish_folder(self.artifacts, source, sealed, key=key, context=_context(job_id, name))
        with self.journal.transaction():
            self.journal.put_file(job_id, name, published.file, published.path)
        self.feed.say("sealed", job_id=job_id.hex(), name=name, size_bytes=published.file.size_bytes)
        return published.file, published.archive_sha256

    async def _prefetch(self, job_id: JobId, effect: Prefetch, view: JobView | None) -> None:
        """A head start only: a file that never fits is reported by whoever needs it."""
        with suppress(ArtifactCorrupt, ArtifactTooLarge):
            await self._fetch(job_id, effect.name, effect.file, view)

    async def _fetch(self, job_id: JobId, name: str, file: SealedFile, view: JobView | None) -> Path:
        """The ciphertext, fetched and served on."""

        def tell(transfer: Transfer) -> None:
            self.feed.say(
                "transfer",
                job_id=job_id.hex(),
                account=self.account.hex(),
                name=name,
                done_bytes=transfer.done_bytes,
                total_bytes=transfer.total_bytes,
                rate_bytes_s=transfer.rate_bytes_s,
                peers=transfer.peers,
            )

        peers = self.directory.torrents_for(view, name, besides=self.account) if view is not None else []
        path = await self.artifacts.fetch(file, self._sealed_folder(job_id), peers=peers, progress=tell)
        with self.journal.transaction():
            self.journal.put_file(job_id, name, file, path)
        return path

    async def _fetch_bundle(
        self, machine: Machine, effect: FetchBundle, view: JobView | None
    ) -> BundleFetched | BundleFailed:
        """Fetch, open, check, unpack; a whole folder from before a crash is taken as it is."""
        destination = self.role_folder(machine) / effect.name
        if destination.exists():
            return BundleFetched(effect.name)
        try:
            sealed = await self._fetch(machine.job_id, effect.name, effect.file, view)
            destination.parent.mkdir(parents=True, exist_ok=True)
            await open_bundle(
                sealed,
                destination,
                key=effect.key,
                context=_context(machine.job_id, effect.name),
                expected_archive_sha256=effect.archive_sha256,
            )
        except (ArtifactCorrupt, ArtifactTooLarge) as error:
            return BundleFailed(effect.name, f"The {effect.name} bundle cannot be used: {error}")
        self.feed.say("fetched", job_id=machine.job_id.hex(), account=self.account.hex(), name=effect.name)
        return BundleFetched(effect.name)

    def _sealed_folder(self, job_id: JobId) -> Path:
        folder = self.job_folder(job_id) / "sealed"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # --- running strangers' code ------------------------------------------------------------------------------------

    async def _train(
        self, machine: Machine, effect: Train, view: JobView | None, chain_time: Callable[[], Timestamp]
    ) -> TrainingEnded:
        """Train from the beginning; what an earlier try left behind is thrown away.

        A machine that cannot train hands in its failure: a rejection costs less than silence.
        """
        job_id = machine.job_id
        model = self.job_folder(job_id) / "worker" / "model"
        await trio.to_thread.run_sync(lambda: rmtree(model, ignore_errors=True))
        model.mkdir(parents=True, exist_ok=True)
        self.feed.say("training", job_id=job_id.hex(), account=self.account.hex())
        seconds = 0.0
        try:
            estimated_s = view.terms.estimated_s if view is not None else 0
            with self.brakes.of(job_id, estimated_s, partial(self._say_frozen, job_id)) as brake:
                result = await self._run_training(machine, effect, model, effect.until - chain_time(), brake)
            reason, seconds = result.reason, result.seconds
        except SandboxUnavailable as error:
            reason = error.sentence
        except SandboxFailed as error:
            if chain_time() < effect.until:
                raise  # there is time for another try
            reason = error.sentence
        if reason:
            await trio.to_thread.run_sync(_leave_only_reason, model, reason)
        self.feed.say("trained", job_id=job_id.hex(), seconds=seconds, reason=reason)
        return TrainingEnded(reason)

    def _say_frozen(self, job_id: JobId, is_frozen: bool) -> None:
        self.feed.say("frozen" if is_frozen else "thawed", job_id=job_id.hex(), role=WORKER)

    async def _run_training(
        self, machine: Machine, effect: Train, model: Path, wall_s: float, brake: Brake
    ) -> RunResult:
        """The run itself, with its curve streamed to the end user beside it."""
        job_id = machine.job_id
        folder = self.job_folder(job_id) / "worker"
        curve = Curve(self.journal, self.feed, job_id)
        result: RunResult | MorphwareError
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(curve.stream, self.gossip, self.directory.peer_keys.get(effect.user))
                try:
                    result = await self.runner.train(
                        code=folder / "code",
                        entry=effect.entry,
                        train=folder / "train",
                        model=model,
                        limits=self._limits(machine, wall_s, effect.memory_bytes, effect.disk_bytes),
                        on_metric=curve.take_point,
                        on_log=curve.take_output,
                        on_usage=curve.take_usage,
                        brake=brake,
                    )
                except MorphwareError as error:  # out of the nursery as it is, not in a group
                    result = error
                else:
                    await trio.sleep(LAST_FLUSH_S)
                nursery.cancel_scope.cancel()
        finally:
            curve.flush()
        if isinstance(result, MorphwareError):
            raise result
        return result

    async def _evaluate(self, machine: Machine, effect: Evaluate, wall_s: float) -> Evaluated:
        """The code and testing set that were fetched, or the end user's own, with the model in the role's folder."""
        folder, sources = self.role_folder(machine), machine.sources
        self.feed.say("evaluating", job_id=machine.job_id.hex(), account=self.account.hex(), role=machine.role)
        try:
            score = await self.runner.evaluate(
                code=folder / "code" if sources is None else sources.code,
                entry=effect.entry,
                model=folder / "model",
                test=folder / "test" if sources is None else sources.test,
                metric=effect.metric,
                validator=self.account,
                limits=self._limits(machine, wall_s, effect.memory_bytes, effect.disk_bytes),
            )
        except Exception as error:  # a stranger's model must not silence a validator, who pays for that
            world = error.subgroup((MorphwareError, OSError)) if isinstance(error, ExceptionGroup) else error
            while isinstance(world, ExceptionGroup):
                world = world.exceptions[0]
            if isinstance(world, MorphwareError | OSError):
                raise world from None  # this machine's failure: there may be time for another try
            log.exception("evaluation_broke", job_id=machine.job_id.hex(), account=self.account.hex())
            reason = f"the evaluation ended in {type(error).__name__}: {error}"[:MAX_REASON_CHARACTERS]
            return Evaluated(BAD_MODEL, 0, bytes(HASH_BYTES), reason)
        return Evaluated(score.metric_e6, score.fingerprint_e9, score.prediction_root, score.reason)

    def _limits(self, machine: Machine, wall_s: float, memory_bytes: int, disk_bytes: int) -> Limits:
        """What the specification asks for, as far as this machine's owner allows it.

        The owner's limit is for running; the end of the window comes whether a job runs or stands still.
        """
        most = self.most(machine)
        return Limits(
            wall_s=max(LEAST_RUN_S, min(wall_s, most.wall_s)),
            memory_bytes=min(memory_bytes, most.memory_bytes),
            disk_bytes=min(disk_bytes, most.disk_bytes),
            threads=most.threads,
            has_gpu=most.has_gpu,
            deadline_s=max(LEAST_RUN_S, wall_s),
        )


def _leave_only_reason(model: Path, reason: str) -> None:
    """The folder of a model that is none says why."""
    rmtree(model, ignore_errors=True)
    model.mkdir(parents=True, exist_ok=True)
    (model / "FAILED.txt").write_text(reason + "\n", encoding="utf-8", errors="replace")


def _context(job_id: JobId, name: str) -> bytes:
    """What every chunk of a sealed file is bound to: the job and the file's name."""
    return job_id + name.encode()
