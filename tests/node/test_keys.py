"""Keys: made once, opened by their password alone, shown to nobody."""

import json
import os
from pathlib import Path

import pytest
from eth_account import Account
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey

from morphware.node import keys
from morphware.node.keys import KeysExist, KeysExposed, KeysSpoiled, NoKeys, WrongPassword

WORK = 2**10
FILES = ("account.json", "peer.key", "encryption.key")


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_keys_come_back_with_their_password(tmp_path: Path) -> None:
    made = await keys.create(tmp_path / "keys", "correct horse", work=WORK)
    assert await keys.load(tmp_path / "keys", "correct horse") == made
    assert keys.read_account(tmp_path / "keys") == made.account


async def test_the_public_counterparts_belong_to_the_secrets(tmp_path: Path) -> None:
    made = await keys.create(tmp_path / "keys", "", work=WORK)
    assert bytes.fromhex(Account.from_key(made.private_key).address[2:]) == made.account
    signed = SigningKey(made.peer_seed).sign(b"hello")
    assert SigningKey(made.peer_seed).verify_key.verify(signed) == b"hello"
    assert bytes(SigningKey(made.peer_seed).verify_key) == made.peer_key
    secret = PrivateKey(made.encryption_secret)
    assert bytes(secret.public_key) == made.encryption_key
    assert SealedBox(secret).decrypt(SealedBox(secret.public_key).encrypt(b"hello")) == b"hello"
    assert len({made.private_key, made.peer_seed, made.encryption_secret}) == 3


async def test_the_account_is_an_ordinary_keystore(tmp_path: Path) -> None:
    made = await keys.create(tmp_path / "keys", "password", work=WORK)
    keystore = json.loads((tmp_path / "keys" / "account.json").read_text())
    assert keystore["crypto"]["kdf"] == "scrypt"
    assert keystore["crypto"]["kdfparams"]["n"] == WORK
    assert bytes(Account.decrypt(keystore, "password")) == made.private_key


async def test_a_wrong_password_opens_nothing(tmp_path: Path) -> None:
    await keys.create(tmp_path / "keys", "right", work=WORK)
    for password in ("wrong", "", "right "):
        with pytest.raises(WrongPassword, match="The password does not open the node's keys: try another one"):
            await keys.load(tmp_path / "keys", password)


async def test_folder_and_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        await keys.create(tmp_path / "keys", "", work=WORK)
    finally:
        os.umask(old)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert names_in(tmp_path / "keys") == sorted(FILES)
    for name in FILES:
        assert (tmp_path / "keys" / name).stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["keys"]


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
async def test_keys_in_an_open_folder_are_refused(tmp_path: Path, mode: int) -> None:
    await keys.create(tmp_path / "keys", "", work=WORK)
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(KeysExposed, match="chmod"):
        await keys.load(tmp_path / "keys", "")


@pytest.mark.parametrize("name", FILES)
async def test_an_open_key_file_is_refused(tmp_path: Path, name: str) -> None:
    await keys.create(tmp_path / "keys", "", work=WORK)
    (tmp_path / "keys" / name).chmod(0o640)
    with pytest.raises(KeysExposed, match=name):
        await keys.load(tmp_path / "keys", "")


async def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    made = await keys.create(tmp_path / "keys", "", work=WORK)
    with pytest.raises(KeysExist):
        await keys.create(tmp_path / "keys", "", work=WORK)
    assert await keys.load(tmp_path / "keys", "") == made
    assert names_in(tmp_path) == ["keys"]


async def test_an_empty_folder_may_become_the_keys_folder(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    await keys.create(tmp_path / "keys", "", work=WORK)
    await keys.load(tmp_path / "keys", "")


async def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "precious").write_text("mine")
    with pytest.raises(KeysExist):
        await keys.create(tmp_path / "keys", "", work=WORK)
    assert (tmp_path / "keys" / "precious").read_text() == "mine"


async def test_missing_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoKeys):
        await keys.load(tmp_path / "nothing", "")
    await keys.create(tmp_path / "keys", "", work=WORK)
    (tmp_path / "keys" / "peer.key").unlink()
    with pytest.raises(NoKeys, match=r"peer\.key"):
        await keys.load(tmp_path / "keys", "")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 72, b"x" * 100_000])
async def test_a_spoiled_key_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    await keys.create(tmp_path / "keys", "", work=WORK)
    (tmp_path / "keys" / name).write_bytes(content)
    with pytest.raises(KeysSpoiled, match=name):
        await keys.load(tmp_path / "keys", "")


async def test_a_link_or_a_pipe_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    await keys.create(tmp_path / "keys", "", work=WORK)
    path = tmp_path / "keys" / "peer.key"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeysSpoiled):
        await keys.load(tmp_path / "keys", "")
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeysSpoiled):
        await keys.load(tmp_path / "keys", "")


async def test_keys_of_two_nodes_cannot_be_mixed(tmp_path: Path) -> None:
    await keys.create(tmp_path / "one", "", work=WORK)
    await keys.create(tmp_path / "two", "", work=WORK)
    (tmp_path / "one" / "peer.key").write_bytes((tmp_path / "two" / "peer.key").read_bytes())
    with pytest.raises(KeysSpoiled, match=r"peer\.key does not belong"):
        await keys.load(tmp_path / "one", "")


async def test_a_keystore_that_asks_for_too_much_work_is_refused_before_the_work(tmp_path: Path) -> None:
    await keys.create(tmp_path / "keys", "", work=WORK)
    path = tmp_path / "keys" / "account.json"
    keystore = json.loads(path.read_text())
    keystore["crypto"]["kdfparams"]["n"] = 2**40
    path.write_text(json.dumps(keystore))
    with pytest.raises(KeysSpoiled, match="scrypt"):
        await keys.load(tmp_path / "keys", "")


async def test_secrets_are_not_shown(tmp_path: Path) -> None:
    made = await keys.create(tmp_path / "keys", "password", work=WORK)
    shown = repr(made) + str(made)
    for secret in (made.private_key, made.peer_seed, made.encryption_secret):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    assert made.account.hex() in str(made)
