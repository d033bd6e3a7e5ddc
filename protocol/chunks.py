"""What carries a job's data, whichever way it was divided: sealed files, the folders that they unpack into, their keys.

The end user's own two folders are a file each.  A split's chunks are files of their own, which are put together again
into one folder once they are there, so that neither script nor scorer knows of chunks.
"""

from dataclasses import dataclass

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.commitments import keccak, split_root
from morphware.protocol.crypto import KEY_BYTES, derive
from morphware.protocol.documents import chunks_of, read_spec
from morphware.protocol.effects import FetchBundle, JoinChunks
from morphware.protocol.messages import Chunks, Folders
from morphware.protocol.split import Disclosed
from morphware.protocol.view import JobView

CHUNK_PREFIX = "chunk-"


def chunk_name(chunk: int) -> str:
    """The name of a chunk's file and folder."""
    return f"{CHUNK_PREFIX}{chunk:02}"


def chunk_keys(master: bytes, chunks: int) -> tuple[bytes, ...]:
    """Every chunk's key: HKDF-SHA256(master, "mw1|chunk|" and its number), so that one key tells nothing of another."""
    return tuple(derive(master, f"chunk|{chunk}") for chunk in range(chunks))


@dataclass(frozen=True, slots=True)
class DataKeys:
    """The keys of a job's code and data, derived from its seed; ``chunks`` are a split's, which has no others."""

    code: bytes
    train: bytes
    test: bytes
    chunks: tuple[bytes, ...]
    test_chunks: int

    @classmethod
    def of(cls, seed: bytes, chunks: int, test_chunks: int) -> "DataKeys":
        """All of them are there before anything is posted; without chunks for the end user's own two folders."""
        code, train, test = (derive(seed, f"key|{name}") for name in ("code", "train", "test"))
        return cls(code, train, test, chunk_keys(derive(seed, "key|chunks"), chunks), test_chunks)

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """The hashes of the chunks' keys."""
        return tuple(keccak(key) for key in self.chunks)

    @property
    def hashes(self) -> tuple[bytes, bytes]:
        """What the posting commits to: for the winner, and for the committee."""
        if self.chunks:
            return keccak(self.code), split_root(self.test_chunks, self.leaves)
        return keccak(self.train + self.code), keccak(self.test + self.code)

    def row(self, view: JobView, *, is_test: bool) -> bytes:
        """What the committee, or the winner, is entitled to, in one row."""
        if self.chunks:
            return b"".join(self.chunks[chunk] for chunk in chunks_of(view, is_test=is_test)) + self.code
        return (self.test if is_test else self.train) + self.code

    def disclosure(self, view: JobView, *, is_test: bool) -> bytes:
        """The same, for everybody to see."""
        if not self.chunks:
            return self.row(view, is_test=is_test)
        shown = chunks_of(view, is_test=is_test)
        keys = enumerate(zip(self.chunks, self.leaves, strict=True))
        items = tuple(key if chunk in shown else leaf for chunk, (key, leaf) in keys)
        return Disclosed(self.test_chunks, items, self.code).to_bytes()


def files_to_train_on(view: JobView) -> dict[str, SealedFile]:
    """The sealed files of the training data by name; none before a split is drawn."""
    return _files(view, is_test=False)


def files_to_test_on(view: JobView) -> dict[str, SealedFile]:
    """The sealed files of the testing data by name; none before a split is drawn."""
    return _files(view, is_test=True)


def fetches(files: dict[str, SealedFile], keys: bytes) -> list[FetchBundle]:
    """One fetch for each file, with its key out of the row."""
    return [
        FetchBundle(f"fetch|{name}", name, file, keys[KEY_BYTES * place : KEY_BYTES * (place + 1)], None)
        for place, (name, file) in enumerate(files.items())
    ]


def join(name: str, files: dict[str, SealedFile], there: set[str]) -> JoinChunks | None:
    """What makes one folder of chunks, once they are all there; None before, and where the one file is the folder."""
    if name in files or not files or not there.issuperset(files):
        return None
    return JoinChunks(f"join|{name}", name, tuple(files))


def _files(view: JobView, *, is_test: bool) -> dict[str, SealedFile]:
    spec = read_spec(view)
    match None if spec is None else spec.data:
        case Folders() as folders:
            return {"test": folders.test} if is_test else {"train": folders.train}
        case Chunks(files=files):
            return {chunk_name(chunk): files[chunk] for chunk in chunks_of(view, is_test=is_test)}
        case _:
            return {}
