"""The Python client: both kinds ask the same, its README's programs run, and an archive stays in its folder."""

import inspect
import io
import os
import re
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.client import AsyncClient, Client
from morphware.node.client.archive import UnusableArchive
from morphware.node.data_folder import NodeNotRunning
from morphware.node.errors import BadInput
from morphware.node.record import verify_record
from morphware.protocol.units import TOKEN
from tests.node.recorded_node import HASH, ID, RecordedNode, serving, zip_of

README = Path(__file__).parents[3] / "node" / "client" / "README.md"
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("status", {}), ("known_nodes", {}), ("network", {}), ("all_jobs", {}), ("jobs", {"q": "3f", "state": "paid"}),
    ("job", {"job_id": ID}), ("points", {"job_id": ID}), ("costs", {}), ("link", {}),
    ("series", {"job_id": ID, "names": ["loss", "acc"], "axis": "time", "first": 0.5}), ("output", {"job_id": ID}),
    ("timeline", {"job_id": ID}), ("past", {"job_id": ID}), ("receipt", {"job_id": ID}), ("estimate", {}),
    ("wallet", {}), ("history", {"page": 1, "size": 5}), ("operator", {}),
    ("deposit", {"amount_wei": 5 * TOKEN, "request_id": "one"}), ("withdraw", {"amount_wei": 7}),
    ("stake", {"seats": 2}), ("unstake", {"seats": 1, "request_id": "two"}), ("pause", {"freeze": True}),
    ("resume", {}), ("change_offers", {"offers": {"worker.capacity": "2", "idle.programs": None}}),
]  # fmt: skip


def test_both_clients_have_the_same_methods() -> None:
    of_one, of_other = (
        {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }
        for kind in (Client, AsyncClient)
    )
    assert of_one == of_other


def test_both_clients_ask_and_are_answered_the_same(tmp_path: Path) -> None:
    async def ask(name: str, values: dict[str, Any]) -> Any:
        return await getattr(AsyncClient(tmp_path), name)(**values)

    with serving(tmp_path, RecordedNode()) as node:
        for name, values in ASKED:
            node.asked.clear()
            answer = getattr(Client(tmp_path), name)(**values)
            of_sync = list(node.asked)
            node.asked.clear()
            assert trio.run(ask, name, values) == answer, name
            assert node.asked == of_sync, name
        assert Client(tmp_path).deposit(TOKEN, "three").transaction == HASH
        assert node.asked[-1] == ("/wallet/deposit", {"amount_wei": str(TOKEN), "request_id": "three"})
        assert Client(tmp_path).points(ID)[-1] == (2, 1.0, "loss", 0.5)
        assert verify_record(Client(tmp_path).record(ID))["job"]["job_id"] == ID
        with pytest.raises(BadInput, match="Too much or too little"):
            Client(tmp_path).stake(1000)


def test_a_folder_may_be_text_and_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(tmp_path / "user", RecordedNode()):
        assert Client("~/user").status() == Client(str(tmp_path / "user")).status()
    for client in (Client("~/nobody"), Client(str(tmp_path / "nobody"))):
        with pytest.raises(NodeNotRunning, match=f"--data-folder {tmp_path}/nobody"):
            client.status()


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_readme_run(tmp_path: Path, number: int) -> None:
    program = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]
    recorded = RecordedNode(name="digits") if number == 0 else RecordedNode("training", is_live=True, name="digits")
    with serving(tmp_path / "user", recorded):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    if number == 0:
        assert "digits PAID accuracy 0.9875 41.0 tokens" in done.stdout
        assert (tmp_path / "models" / ID[:8] / "model.npz").read_bytes() == b"weights"
    else:
        assert "loss" in done.stdout
        assert "it ended: PAID" in done.stdout


# --- models ---------------------------------------------------------------------------------------------------------


def link_in_a_zip() -> bytes:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def file_that_is_a_folder() -> bytes:
    return zip_of({"a": b"file", "a/b": b"below it"})


@pytest.mark.parametrize(
    "archive",
    [
        zip_of({"ok": b"1", "../escaped": b"2"}), zip_of({"/escaped": b"2"}), zip_of({"a/../../escaped": b"2"}),
        zip_of({"a\\..\\escaped": b"2"}), zip_of({"./escaped": b"2"}), link_in_a_zip(), file_that_is_a_folder(),
        b"", b"no zip", zip_of({"cut": b"2" * 1000})[:300],
    ],
)  # fmt: skip
def test_an_archive_that_escapes_or_is_none_leaves_nothing(tmp_path: Path, archive: bytes) -> None:
    recorded = RecordedNode()
    recorded.archive = archive
    with serving(tmp_path / "node", recorded):
        for save in (Client(tmp_path / "node").model, _saved_asynchronously(tmp_path / "node")):
            with pytest.raises(UnusableArchive):
                save(ID, tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []
    assert not list(tmp_path.rglob("escaped"))


def test_a_model_is_saved_whole_and_never_over_something(tmp_path: Path) -> None:
    with serving(tmp_path / "node", RecordedNode()):
        for number, save in enumerate((Client(tmp_path / "node").model, _saved_asynchronously(tmp_path / "node"))):
            folder = tmp_path / "deep" / str(number)
            assert save(ID, folder) == folder
            found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            assert found == {"model.npz": b"weights", "more/readme.txt": b"read me"}
            with pytest.raises(BadInput, match="nothing is overwritten"):
                save(ID, folder)
            (tmp_path / f"link{number}").symlink_to(tmp_path / "nowhere")
            with pytest.raises(BadInput, match="nothing is overwritten"):
                save(ID, tmp_path / f"link{number}")
        assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["0", "1"]


def test_a_job_without_a_model_makes_no_folder(tmp_path: Path) -> None:
    with serving(tmp_path / "node", RecordedNode("training")):
        for save in (Client(tmp_path / "node").model, _saved_asynchronously(tmp_path / "node")):
            with pytest.raises(BadInput, match="There is no model"):
                save(ID, tmp_path / "out")
    with pytest.raises(NodeNotRunning):
        Client(tmp_path / "node").model(ID, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _saved_asynchronously(node: Path) -> Any:
    return lambda job_id, folder: trio.run(partial(AsyncClient(node).model, job_id, folder))
