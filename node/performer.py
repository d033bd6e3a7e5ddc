"""Carries out effects: one method for each, which ends in the event that answers it.

Every method is safe to repeat.  A world that fails raises an exception of our tree, and the engine tries again later;
what no trying mends comes back as an event that says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

import trio

from morphware.node.artifacts.bundles import open_bundle, publish_folder
from morphware.node.artifacts.errors import ArtifactCorrupt, ArtifactTooLarge
from morphware.node.curve import Curve
from morphware.node.directory import Directory
from morphware.node.feed import Feed
from morphware.node.journal import Journal
from morphware.node.machines import Machine
from morphware.node.ports import Artifacts, Chain, Gossip, Limits, Refused, Runner, Transfer
from morphware.node.speech import Speaker
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.effects import (
    Effect,
    Evaluate,
    FetchBundle,
    Finish,
    Prefetch,
    Publish,
    SealBundles,
    SealModel,
    Send,
    Train,
)
from morphware.protocol.events import (
    BundleFailed,
    BundleFetched,
    BundlesSealed,
    CallDone,
    CallRefused,
    Evaluated,
    LocalEvent,
    ModelSealed,
    TrainingEnded,
)
from morphware.protocol.units import Address, JobId, Timestamp
from morphware.protocol.view import JobView

LEAST_RUN_S: Final = 1.0
"""A run whose time is up still starts, so that it ends with a reason instead of never having been."""


@dataclass(frozen=True, slots=True)
class Performer:
    """The hands of one node. ``folder`` holds a folder for each job."""

    folder: Path
    account: Address
    threads: int | None
    journal: Journal
    chain: Chain
    artifacts: Artifacts
    gossip: Gossip
    speaker: Speaker
    runner: Runner
    directory: Directory
    feed: Feed

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
            case SealBundles():
                return await self._seal_bundles(machine, effect)
            case Prefetch(name=name, file=file):
                await self._fetch(job_id, name, file, view)
            case FetchBundle():
                return await self._fetch_bundle(machine, effect, view)
            case Train():
                return await self._train(job_id, effect, effect.until - chain_time())
            case SealModel(key=key):
                return await self._seal_model(job_id, key)
            case Evaluate():
                return await self._evaluate(machine, effect, effect.until - chain_time())
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
        name = type(effect.call).__name__
        job_id = machine.job_id.hex()
        self.feed.say("sending", job_id=job_id, role=machine.role, call=name)
        result = await self.chain.send(effect.call, effect_id=f"{job_id}/{machine.role}/{effect.id}")
        if isinstance(result, Refused):
            self.feed.say("refused", job_id=job_id, role=machine.role, call=name, reason=result.sentence)
            return CallRefused(effect.id, result.error, result.sentence)
        with self.journal.transaction():
            self.journal.add_cost(machine.job_id, machine.role, effect.id, name, result.gas_used, result.fee_wei)
        self.feed.say("sent", job_id=job_id, role=machine.role, call=name, gas=result.gas_used)
        return CallDone(effect.id)

    # --- artifacts --------------------------------------------------------------------------------------------------

    async def _seal_bundles(self, machine: Machine, effect: SealBundles) -> BundlesSealed:
        sources = machine.sources
        assert sources is not None
        wanted = {
            "code": (sources.code, effect.code_key),
            "train": (sources.train, effect.train_key),
            "test": (sources.test, effect.test_key),
        }
        files = {name: await self._seal(machine.job_id, name, *what) for name, what in wanted.items()}
        return BundlesSealed(**{name: file for name, (file, _) in files.items()})

    async def _seal_model(self, job_id: JobId, key: bytes) -> ModelSealed:
        model = self.job_folder(job_id) / "worker" / "model"
        model.mkdir(parents=True, exist_ok=True)
        file, archive_sha256 = await self._seal(job_id, "model", model, key)
        return ModelSealed(file, archive_sha256)

    async def _seal(self, job_id: JobId, name: str, source: Path, key: bytes) -> tuple[SealedFile, bytes]:
        sealed = self._sealed_folder(job_id)
        published = await publish_folder(self.artifacts, source, sealed, key=key, context=_context(job_id, name))
        with self.journal.transaction():
            self.journal.put_file(job_id, name, published.file, published.path)
        self.feed.say("sealed", job_id=job_id.hex(), name=name, size_bytes=published.file.size_bytes)
        return published.file, published.archive_sha256

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

        peers = self.directory.torrents_for(view, name) if view is not None else []
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

    async def _train(self, job_id: JobId, effect: Train, wall_s: float) -> TrainingEnded:
        """Train from the beginning; what an earlier try left behind is thrown away."""
        folder = self.job_folder(job_id) / "worker"
        model = folder / "model"
        await trio.to_thread.run_sync(lambda: rmtree(model, ignore_errors=True))
        model.mkdir(parents=True)
        curve = Curve(self.journal, self.feed, job_id)
        self.feed.say("training", job_id=job_id.hex(), account=self.account.hex())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(curve.stream, self.gossip, self.directory.peer_keys.get(effect.user))
            result = await self.runner.train(
                code=folder / "code",
                entry=effect.entry,
                train=folder / "train",
                model=model,
                limits=self._limits(wall_s, effect.memory_bytes, effect.disk_bytes),
                on_metric=curve.take_point,
                on_log=curve.take_output,
            )
            await trio.sleep(LAST_FLUSH_S)
            nursery.cancel_scope.cancel()
        if result.reason:
            (model / "FAILED.txt").write_text(result.reason + "\n", encoding="utf-8")
        self.feed.say("trained", job_id=job_id.hex(), seconds=result.seconds, reason=result.reason)
        return TrainingEnded(result.reason)

    async def _evaluate(self, machine: Machine, effect: Evaluate, wall_s: float) -> Evaluated:
        folder = self.role_folder(machine)
        self.feed.say("evaluating", job_id=machine.job_id.hex(), account=self.account.hex())
        score = await self.runner.evaluate(
            code=folder / "code",
            entry=effect.entry,
            model=folder / "model",
            test=folder / "test",
            metric=effect.metric,
            validator=self.account,
            limits=self._limits(wall_s, effect.memory_bytes, effect.disk_bytes),
        )
        return Evaluated(score.metric_e6, score.fingerprint_e9, score.prediction_root, score.reason)

    def _limits(self, wall_s: float, memory_bytes: int, disk_bytes: int) -> Limits:
        return Limits(
            wall_s=max(LEAST_RUN_S, wall_s), memory_bytes=memory_bytes, disk_bytes=disk_bytes, threads=self.threads
        )


LAST_FLUSH_S: Final = 0.5
"""Long enough for the curve's last points to be handed on."""


def _context(job_id: JobId, name: str) -> bytes:
    """What every chunk of a sealed file is bound to: the job and the file's name."""
    return job_id + name.encode()
