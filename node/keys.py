"""A node's secrets: an Ethereum account, an Ed25519 peer key and an X25519 encryption key in one private folder.

``account.json`` is an ordinary Ethereum keystore (scrypt), which any wallet opens.  ``peer.key`` and ``encryption.key``
are sealed (XSalsa20-Poly1305) under a key that is derived from the account's private key.

Why (2026-11): the two are sealed under the account's key, and not stretched from the password a second time, because
then one password is checked in one place and a load costs one scrypt (1.4 s, 256 MB) instead of two; the derivation
(keyed BLAKE2b with a personal string) says nothing about the account's key.  They are drawn at random instead of being
derived from it, so that each can be given to another machine, or replaced, without touching the stake.  Would change
if the account moved to a hardware wallet: then the two need a password of their own.
"""

import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from morphware.node.errors import BadInput
from morphware.node.recursion import recursion_limit_kept
from morphware.protocol.units import Address

STANDARD_WORK: Final = 2**18
"""scrypt's n for people's keys: 1.4 s and 256 MB on the machine of 2026."""
TESTNET_WORK: Final = 2**14
"""scrypt's n where the password is no secret: 70 ms."""
MOST_WORK: Final = 2**20
"""A keystore that asks for more (1 GB) was not made by a friend."""

ACCOUNT_FILE: Final = "account.json"
PEER_FILE: Final = "peer.key"
ENCRYPTION_FILE: Final = "encryption.key"
FILE_LIMIT_BYTES: Final = 16 << 10
SECRET_BYTES: Final = 32


class KeysFailure(BadInput):
    """The node's keys cannot be used: look at the message below."""

    def __init__(self, detail: str = "") -> None:
        sentence = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{sentence.removesuffix('.')} ({detail})." if detail else sentence)


class WrongPassword(KeysFailure):
    """The password does not open the node's keys: try another one; it cannot be recovered."""


class NoKeys(KeysFailure):
    """There are no keys in this folder: make them with `morphware keys create`, or name another folder."""


class KeysExist(KeysFailure):
    """There are keys in this folder already, and keys are never overwritten: use them, or name another folder."""


class KeysExposed(KeysFailure):
    """Other users can get at the node's keys: give folder and files to this user alone (chmod 700 and 600)."""


class KeysSpoiled(KeysFailure):
    """A key file is not what it should be: take it from a backup."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All secrets of a node with their public counterparts; shows only the latter."""

    account: Address
    private_key: bytes = field(repr=False)
    peer_key: bytes
    peer_seed: bytes = field(repr=False)
    encryption_key: bytes
    encryption_secret: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"keys of 0x{self.account.hex()}"


async def create(folder: Path, password: str, *, work: int = STANDARD_WORK) -> Keys:
    """Make new keys in a new (or empty) folder, wholly or not at all.

    Args:
        work: scrypt's n.

    Raises:
        KeysExist: the folder holds something.
    """
    return await trio.to_thread.run_sync(_create, folder, password, work)


async def load(folder: Path, password: str) -> Keys:
    """Open the keys of a folder.

    Raises:
        NoKeys, WrongPassword, KeysExposed, KeysSpoiled
    """
    return await trio.to_thread.run_sync(_load, folder, password)


def read_account(folder: Path) -> Address:
    """The account of a folder's keys, without the password."""
    _check_folder(folder)
    keystore = _decode_keystore(_read(folder / ACCOUNT_FILE))
    return Address(bytes.fromhex(keystore.address.removeprefix("0x")))


# --- making ---


def _create(folder: Path, password: str, work: int) -> Keys:
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise KeysExist(str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_key = _new_private_key()
    peer_seed, encryption_secret = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SECRET_BYTES)
    # mkdtemp makes it 0700; renaming it is the one moment at which keys begin to exist
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _write(draft / ACCOUNT_FILE, _encrypt_keystore(private_key, password, work))
        _write(draft / PEER_FILE, _seal(private_key, PEER_FILE, peer_seed))
        _write(draft / ENCRYPTION_FILE, _seal(private_key, ENCRYPTION_FILE, encryption_secret))
        _synchronise(draft)
        try:
            draft.rename(folder)  # refuses a folder that is no longer empty
        except OSError as error:
            raise KeysExist(f"{folder}: {error.strerror}") from error
        _synchronise(folder.parent)
    finally:
        if draft.exists():
            for file in draft.iterdir():
                file.unlink()
            draft.rmdir()
    return _keys(private_key, peer_seed, encryption_secret)


def _new_private_key() -> bytes:
    from eth_keys.constants import SECPK1_N

    while True:
        private_key = secrets.token_bytes(SECRET_BYTES)
        if 0 < int.from_bytes(private_key) < SECPK1_N:
            return private_key


def _encrypt_keystore(private_key: bytes, password: str, work: int) -> bytes:
    with recursion_limit_kept():
        from eth_keyfile import create_keyfile_json

    keystore = create_keyfile_json(private_key, password.encode(), kdf="scrypt", iterations=work)
    return msgspec.json.format(msgspec.json.encode(keystore), indent=2) + b"\n"


def _seal(private_key: bytes, name: str, secret: bytes) -> bytes:
    from nacl.secret import SecretBox

    return bytes(SecretBox(_sealing_key(private_key, name)).encrypt(secret))


def _sealing_key(private_key: bytes, name: str) -> bytes:
    return blake2b(name.encode(), digest_size=SECRET_BYTES, key=private_key, person=b"morphware keys").digest()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _synchronise(folder: Path) -> None:
    """Make the folder's names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- opening ---


class _ScryptParameters(msgspec.Struct, frozen=True):
    n: int
    r: int
    p: int
    dklen: int
    salt: str


class _Crypto(msgspec.Struct, frozen=True):
    kdf: str
    kdfparams: _ScryptParameters


class _Keystore(msgspec.Struct, frozen=True):
    address: str
    version: int
    crypto: _Crypto


def _load(folder: Path, password: str) -> Keys:
    _check_folder(folder)
    private_key = _decrypt_keystore(_read(folder / ACCOUNT_FILE), password)
    peer_seed = _open(private_key, PEER_FILE, _read(folder / PEER_FILE))
    encryption_secret = _open(private_key, ENCRYPTION_FILE, _read(folder / ENCRYPTION_FILE))
    return _keys(private_key, peer_seed, encryption_secret)


def _check_folder(folder: Path) -> None:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        raise NoKeys(str(folder)) from None
    if not stat.S_ISDIR(status.st_mode):
        raise NoKeys(f"{folder} is no folder")
    _check_private(folder, status)


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise KeysExposed(f"{path} belongs to another user")
    if status.st_mode & 0o077:
        raise KeysExposed(f"{path} has mode {stat.S_IMODE(status.st_mode):o}")


def _read(path: Path) -> bytes:
    try:
        # not blocking: a FIFO in the file's place is refused, not waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoKeys(str(path)) from None
    except OSError as error:
        raise KeysSpoiled(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_LIMIT_BYTES:
            raise KeysSpoiled(f"{path} is no small file")
        _check_private(path, status)
        return file.read(FILE_LIMIT_BYTES)


def _decode_keystore(content: bytes) -> _Keystore:
    """Read and bound a keystore before any work is done for it."""
    try:
        keystore = msgspec.json.decode(content, type=_Keystore)
        if len(bytes.fromhex(keystore.address.removeprefix("0x"))) != 20:
            raise ValueError("its address has not 20 bytes")
    except (msgspec.DecodeError, ValueError) as error:
        raise KeysSpoiled(f"{ACCOUNT_FILE}: {error}") from error
    cost = keystore.crypto.kdfparams
    if keystore.version != 3 or keystore.crypto.kdf != "scrypt":
        raise KeysSpoiled(f"{ACCOUNT_FILE}: not a version 3 keystore with scrypt")
    if not 1 < cost.n <= MOST_WORK or not 1 <= cost.p <= 16 or not 1 <= cost.r <= 16:
        raise KeysSpoiled(f"{ACCOUNT_FILE}: scrypt parameters out of bounds")
    return keystore


def _decrypt_keystore(content: bytes, password: str) -> bytes:
    with recursion_limit_kept():
        from eth_keyfile import decode_keyfile_json

    _decode_keystore(content)
    keystore: dict[str, Any] = msgspec.json.decode(content)
    try:
        private_key = bytes(decode_keyfile_json(keystore, password.encode()))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword from None
        raise KeysSpoiled(f"{ACCOUNT_FILE}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise KeysSpoiled(f"{ACCOUNT_FILE}: {type(error).__name__}") from None
    if len(private_key) != SECRET_BYTES:
        raise KeysSpoiled(f"{ACCOUNT_FILE}: holds {len(private_key)} bytes")
    return private_key


def _open(private_key: bytes, name: str, content: bytes) -> bytes:
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    try:
        secret = bytes(SecretBox(_sealing_key(private_key, name)).decrypt(content))
    except (CryptoError, ValueError):
        raise KeysSpoiled(f"{name} does not belong to this account, or was changed") from None
    if len(secret) != SECRET_BYTES:
        raise KeysSpoiled(f"{name}: holds {len(secret)} bytes")
    return secret


def _keys(private_key: bytes, peer_seed: bytes, encryption_secret: bytes) -> Keys:
    from eth_keys.datatypes import PrivateKey as AccountKey
    from nacl.public import PrivateKey
    from nacl.signing import SigningKey

    return Keys(
        account=Address(AccountKey(private_key).public_key.to_canonical_address()),
        private_key=private_key,
        peer_key=bytes(SigningKey(peer_seed).verify_key),
        peer_seed=peer_seed,
        encryption_key=bytes(PrivateKey(encryption_secret).public_key),
        encryption_secret=encryption_secret,
    )
