"""What a worker's owner offers for a job: prices, and how much of the machine it may use.

A job keeps the offer that it was bid on with, whatever the owner changes later: its price is promised, and a run that
suddenly had less memory than the bid was made with would lose the bond.
"""

from dataclasses import dataclass
from typing import Final

from morphware.node.amounts import parse_tokens
from morphware.node.config import WorkerSection
from morphware.node.ports import Limits
from morphware.protocol.documents import read_spec
from morphware.protocol.view import JobView
from morphware.protocol.worker import WorkerPolicy

GIB: Final = 1 << 30
WALL_MOST_S: Final = 30 * 24 * 3600.0
"""The longest window of a job that any worker bids on."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The brain's policy, and what the machine gives besides. ``threads`` 0: all of them."""

    policy: WorkerPolicy
    wall_s: float = WALL_MOST_S
    threads: int = 0
    has_gpu: bool = True

    @property
    def limits(self) -> Limits:
        """What a job may use of this machine."""
        policy = self.policy
        threads = self.threads or None
        return Limits(self.wall_s, policy.memory_bytes, policy.disk_bytes, threads=threads, has_gpu=self.has_gpu)


def offer_of(worker: WorkerSection) -> Offer:
    """The offer that the settings say."""
    policy = WorkerPolicy(
        price_per_hour_wei=parse_tokens(worker.price_per_hour),
        minimum_price_wei=parse_tokens(worker.minimum_price),
        decoy_chance_256=round(worker.decoy_probability * 256),
        memory_bytes=int(worker.memory_gib * GIB),
        disk_bytes=int(worker.disk_gib * GIB),
    )
    return Offer(policy, worker.wall_limit_s, worker.threads, worker.gpu)


def is_met(view: JobView, offer: Offer) -> bool:
    """Whether a job asks for no more, and pays no less, than this offer."""
    spec, policy = read_spec(view), offer.policy
    return (
        spec is not None
        and spec.memory_bytes <= policy.memory_bytes
        and spec.disk_bytes <= policy.disk_bytes
        and policy.cost_wei(view.terms.estimated_s) <= view.terms.reserve_wei
    )
