"""Data folder, disk, keys, and whether a node runs: each made wrong for real."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from morphware.node import keys
from morphware.node.doctor.findings import Finding
from morphware.node.doctor.folder import check_disk, check_folder, check_keys, check_running, disk_finding, holder
from tests.node.doctor.patient import OK, PROBLEM, WARNING, about, assert_well_formed, config, looked

NOBODY = 65_534
WORK = 2**10


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="morphware-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Rights mean nothing to root."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if mine == 0:
            os.seteuid(mine)


async def folder_finding(folder: Path) -> Finding:
    return about(await looked(partial(check_folder, config(node__data_folder=folder))), "data folder")


async def test_a_private_writable_folder_is_fine_and_stays_empty(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert (await folder_finding(tmp_path)).standing is OK
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_is_not_there_is_begun_with_init(tmp_path: Path) -> None:
    found = await folder_finding(tmp_path / "x")
    assert (found.standing, "morphware init --data-folder" in found.advice) == (PROBLEM, True)
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    assert "is no folder" in (await folder_finding(tmp_path / "file")).found


@pytest.mark.parametrize(("mode", "standing"), [(0o750, WARNING), (0o705, WARNING), (0o770, PROBLEM), (0o777, PROBLEM)])
async def test_a_folder_that_others_can_enter_is_said(tmp_path: Path, mode: int, standing: str) -> None:
    tmp_path.chmod(mode)
    found = await folder_finding(tmp_path)
    assert (found.standing, "chmod 700" in found.advice) == (standing, True)


async def test_a_folder_without_rights_is_a_problem(open_place: Path) -> None:
    (open_place / "closed").mkdir(mode=0o500)
    (open_place / "closed" / "data").mkdir(mode=0o700)
    (open_place / "read-only").mkdir()
    (open_place / "read-only").chmod(0o555)
    with ordinary_user():
        unwritable = await folder_finding(open_place / "read-only")
        if os.geteuid() == NOBODY:  # another user's own folder cannot even be looked at
            assert "cannot be looked at" in (await folder_finding(open_place / "closed" / "data")).found
    assert (unwritable.standing, "Nothing can be written" in unwritable.found) == (PROBLEM, True)


async def test_disk_is_held_against_what_the_configuration_promises(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    modest = config(node__data_folder=folder, worker__disk_gib=0.001, artifacts__max_size_bytes=1 << 20)
    assert about(await looked(partial(check_disk, modest)), "disk").standing is OK
    greedy = config(node__data_folder=folder, worker__disk_gib=1e6)
    assert about(await looked(partial(check_disk, greedy)), "disk").standing is WARNING
    full = assert_well_formed(disk_finding(modest, 10 << 20))
    assert (full.standing, "Only 10 MiB" in full.found) == (PROBLEM, True)
    many = config(node__roles="worker", worker__capacity=8, worker__disk_gib=10)
    assert "jobs of 10 GiB" in disk_finding(many, 50 << 30).found
    assert disk_finding(many, 90 << 30).standing is OK


async def key_findings(folder: Path, password: str | None, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.delenv("MORPHWARE_PASSWORD", raising=False)
    file = None
    if password is not None:
        file = folder / "password"
        file.write_text(password)
        file.chmod(0o600)
    return await looked(partial(check_keys, config(node__data_folder=folder, keys__password_file=file)))


async def test_keys_are_opened_with_the_password_that_the_node_would_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = about(await key_findings(tmp_path, "right", monkeypatch), "keys")
    assert (missing.standing, "keys create" in missing.advice) == (PROBLEM, True)
    made = await keys.create(tmp_path / "keys", "right", work=WORK)
    opened = about(await key_findings(tmp_path, "right", monkeypatch), "keys")
    assert (opened.standing, made.account.hex() in opened.found) == (OK, True)
    wrong = about(await key_findings(tmp_path, "wrong", monkeypatch), "keys")
    assert (wrong.standing, "does not open" in wrong.found) == (PROBLEM, True)
    unknown = about(await key_findings(tmp_path, None, monkeypatch), "keys")
    assert (unknown.standing, "asks for their password" in unknown.found) == (OK, True)


async def test_keys_and_password_that_others_can_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await keys.create(tmp_path / "keys", "right", work=WORK)
    (tmp_path / "password").write_text("right")
    (tmp_path / "password").chmod(0o644)
    monkeypatch.delenv("MORPHWARE_PASSWORD", raising=False)
    patient = config(node__data_folder=tmp_path, keys__password_file=tmp_path / "password")
    password, opened = await looked(partial(check_keys, patient))
    assert (password.standing, opened.standing, "chmod 600" in password.advice) == (WARNING, OK, True)
    (tmp_path / "keys").chmod(0o755)
    exposed = about(await key_findings(tmp_path, "right", monkeypatch), "keys")
    assert (exposed.standing, "Other users can get at" in exposed.found, "755" in exposed.found) == (
        PROBLEM,
        True,
        True,
    )
    absent = config(node__data_folder=tmp_path, keys__password_file=tmp_path / "absent")
    (tmp_path / "keys").chmod(0o700)
    assert about(await looked(partial(check_keys, absent)), "keys").standing is PROBLEM


async def test_a_running_node_is_seen_by_its_lock_and_its_socket(tmp_path: Path) -> None:
    check = partial(check_running, config(node__data_folder=tmp_path))
    assert "No node is running" in about(await looked(check), "node").found
    with (tmp_path / "lock").open("w") as file:
        assert "No node is running" in about(await looked(check), "node").found, "a lock file alone is a dead node's"
        fcntl.flock(file, fcntl.LOCK_EX)
        starting = about(await looked(check), "node")
        assert (starting.standing, "does not take requests" in starting.found) == (WARNING, True)
        (tmp_path / "node.sock").touch()
        running = about(await looked(check), "node")
        assert running.standing is OK
        assert holder(tmp_path) == os.getpid()
        assert f"process {os.getpid()}" in running.found
    assert "No node is running" in about(await looked(check), "node").found
    assert holder(tmp_path) is None
