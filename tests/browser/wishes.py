"""Small jobs that the end user's node of the browser's market is given to post."""

from pathlib import Path

from morphware.node.wishes import JobWish
from morphware.protocol.units import TOKEN, Wei
from tests.e2e.market import JOBS, make_clouds

LOOP = "    for step in range(20):\n"


def clouds(folder: Path, name: str, *, before: str = "", each: str = "") -> JobWish:
    """Three clouds of points, with statements of the test's own before the training's loop and at each of its steps."""
    train, test = make_clouds(folder / "clouds")
    source = (JOBS / "centroids" / "train.py").read_text()
    assert LOOP in source
    loop = LOOP + (f"        {each}\n" if each else "")
    program = folder / "train.py"
    program.write_text(source.replace(LOOP, (f"    {before}\n" if before else "") + loop, 1))
    return JobWish(
        program,
        train,
        test,
        "accuracy",
        0.9,
        Wei(60 * TOKEN),
        name=name,
        estimated_s=20,
        training_s=120,
        testing_s=60,
        bidding_s=10,
        memory_bytes=512 << 20,
    )
