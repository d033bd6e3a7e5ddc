"""Everything that a brain can ask of the world, as imperatives.

An effect's ``id`` is unique within its job and role and is safe to repeat: performing it twice is performing it once.
The engine stores effects before it performs them, and performs again, after a crash, those that were not done.
"""

from dataclasses import dataclass

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import JobCall, Multicall
from morphware.protocol.messages import Body
from morphware.protocol.units import Address, Timestamp, Wei


@dataclass(frozen=True, slots=True)
class Send:
    """Carry out a call on the chain. Answers: ``CallDone`` or ``CallRefused``."""

    id: str
    call: JobCall | Multicall


@dataclass(frozen=True, slots=True)
class Publish:
    """Gossip a message; nobody answers, and hearing is not promised."""

    id: str
    body: Body


@dataclass(frozen=True, slots=True)
class SealBundles:
    """Pack, seal and serve the job's three folders under these keys.

    Answers: ``BundlesSealed``, or ``BundleFailed`` for the bundle "bundles".
    """

    id: str
    code_key: bytes
    train_key: bytes
    test_key: bytes


@dataclass(frozen=True, slots=True)
class SealChunks:
    """Cut a split job's data into as many chunks as there are keys; pack, seal and serve the code and each of them.

    ``order_key`` puts the rows into an order that nobody else knows, so that every chunk is like all the data.
    Answers: ``ChunksSealed``, or ``BundleFailed`` for the bundle "bundles".
    """

    id: str
    code_key: bytes
    chunk_keys: tuple[bytes, ...]
    order_key: bytes


@dataclass(frozen=True, slots=True)
class JoinChunks:
    """Put chunks that are here together again, in this order, into the job's folder ``name``.

    Answers: ``BundleFetched``, ``BundleFailed``.
    """

    id: str
    name: str
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Begin to fetch a ciphertext whose key is not known yet; nobody answers."""

    id: str
    name: str
    file: SealedFile


@dataclass(frozen=True, slots=True)
class FetchBundle:
    """Fetch, open and unpack a sealed file into the job's folder ``name``.

    Answers: ``BundleFetched``, ``BundleFailed``.

    ``archive_sha256`` is what the plaintext archive must hash to, where that was committed to.
    """

    id: str
    name: str
    file: SealedFile
    key: bytes
    archive_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Train:
    """Run the job's training in the sandbox until a chain time at most, streaming its numbers to the end user.

    Answer: ``TrainingEnded``.
    """

    id: str
    entry: str
    until: Timestamp
    memory_bytes: int
    disk_bytes: int
    user: Address


@dataclass(frozen=True, slots=True)
class SealModel:
    """Pack, seal and serve the trained model. Answer: ``ModelSealed``."""

    id: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Predict in the sandbox and score outside of it. Answer: ``Evaluated``."""

    id: str
    entry: str
    metric: str
    until: Timestamp
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Fund:
    """Have so much free balance in the market, from the wallet where it is missing. Answer: ``Funded``.

    ``purpose`` says what for, in words that fit before "needs so many tokens".
    """

    id: str
    amount_wei: Wei
    purpose: str


@dataclass(frozen=True, slots=True)
class Appraise:
    """Look up what these accounts have as free balance in the market. Answer: ``Appraised``."""

    id: str
    accounts: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The job is over for this role: write its canonical log line and let its resources go."""

    id: str
    summary: str


Effect = (
    Send
    | Publish
    | SealBundles
    | SealChunks
    | JoinChunks
    | Prefetch
    | FetchBundle
    | Train
    | SealModel
    | Evaluate
    | Fund
    | Appraise
    | Finish
)
