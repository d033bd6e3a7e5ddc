"""``morphware testnet``: a whole market on this machine, one job from submission to payout, and a receipt.

The receipt is checked before it is believed: the trained model is opened again and tested on the testing set, and the
sum of all balances must not have changed by a wei.  Only then does the command end with status 0.
"""

import json
import shlex
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from rich.console import Console

from morphware.node.amounts import parse_tokens
from morphware.node.cli.options import TestnetOptions
from morphware.node.cli.program import program
from morphware.node.client.wire import NodeRefused
from morphware.node.errors import BadInput, ExitStatus
from morphware.node.log import configure_logging
from morphware.node.ports import Limits
from morphware.node.pricing import check_price, most_reserve_wei
from morphware.node.runner.examples import example_names, find_example, prepare_example
from morphware.node.runner.inspect import check_data, check_metric, inspect_job
from morphware.node.runner.job_config import JobConfig
from morphware.node.runner.runner import SandboxRunner
from morphware.node.testnet.accounting import balances, gas_by_role
from morphware.node.testnet.display import JobDisplay, follow
from morphware.node.testnet.network import SEAT_STAKE_WEI, Network, running_network
from morphware.node.testnet.receipt import build_receipt, print_receipt, receipt_text
from morphware.node.testnet.shape import Shape, shape_of
from morphware.node.wishes import JobWish
from morphware.protocol.units import TOKEN, Address, Wei

BIDDING_S: Final = 8
"""Workers first move their bonds into the market, two blocks; then what they sign is brought on chain together."""
TRAINING_S: Final = 120
TESTING_S: Final = 60
RESERVE_WEI: Final = Wei(100 * TOKEN)
ESTIMATED_S: Final = 20
SEATS: Final = 5
"""Validators that are drawn for the job, if there are as many."""
NO_JOB: Final = "none"


@dataclass(frozen=True, slots=True)
class Job:
    """What is going to be submitted."""

    program: Path
    train: Path
    test: Path
    config: JobConfig


def run_testnet(options: TestnetOptions) -> int:
    """Run the testnet and its job; the exit status is 0 iff the job was paid and the model keeps its word."""
    configure_logging(level="error", style="auto", node="testnet")
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="morphware-testnet-"))).absolute()
    shape = shape_of(folder, workers=options.workers, validators=options.validators, seed=options.seed)
    asked = None
    if options.job != NO_JOB:
        job = _find_job(options.job, folder, shape.seed)
        asked = job, _wish(job, shape.validators)  # what is wrong with it is said before a dozen processes start
    _make(folder)
    return trio.run(_run, options, folder, shape, asked)


async def _run(options: TestnetOptions, folder: Path, shape: Shape, asked: tuple[Job, JobWish] | None) -> int:
    console = Console(stderr=options.json)
    console.print(f"A market of your own, in {folder}", soft_wrap=True, highlight=False)
    started = time.monotonic()
    starting = console.status(
        f"Starting a chain, an end user, {shape.workers} workers, {shape.validators} validators …"
    )
    starting.start()
    try:
        settings = {} if options.relay else {"chain.relay": "false"}
        async with running_network(folder, shape, settings=settings) as network:
            starting.stop()
            console.print(f"All nodes take part after {time.monotonic() - started:.1f} s.", highlight=False)
            if asked is None:
                if options.json:
                    print(json.dumps(_places(network), indent=2), flush=True)
                await _keep(network, console)
                return ExitStatus.SUCCESS
            await _show_page(network, console)
            receipt = await _submit_and_follow(network, *asked, console)
            if options.json:
                print(receipt_text(receipt), flush=True)  # whoever reads a pipe must not wait for the market's end
            else:
                print_receipt(receipt, console)
            if options.keep:
                await _keep(network, console)
    finally:
        starting.stop()
    console.print(
        "\nThe market is closed. This opens it again, with its page and all of its jobs:\n"
        f"  {program()} testnet --job {NO_JOB} --folder {shlex.quote(str(folder))}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    is_good = receipt["outcome"] == "PAID" and receipt["model_metric"] == receipt["metric_value"]
    return ExitStatus.SUCCESS if is_good else ExitStatus.NOT_PAID


def _make(folder: Path) -> None:
    """The market's folder is there afterwards. Raises ``BadInput``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made ({error.strerror}): name another --folder.") from error


def _places(network: Network) -> dict[str, Any]:
    """Where a market's chain, contracts and nodes are."""
    return {
        "folder": str(network.folder),
        "rpc_url": network.anvil.url,
        "deployment": str(network.folder / "deployment.json"),
        "nodes": {
            name: {"data_folder": str(node.folder), "account": f"0x{node.account.hex()}", "role": node.role}
            for name, node in network.nodes.items()
        },
    }


async def _submit_and_follow(network: Network, job: Job, wish: JobWish, console: Console) -> dict[str, Any]:
    """Submit the job, show it until it is over, and account for everything."""
    user = network.nodes["user-1"]
    accounts: dict[str, Address] = {name: node.account for name, node in network.nodes.items()}
    accounts["deployer"] = network.deployer
    before = await balances(network.reader, accounts)
    first_block = await network.reader.block_number()
    display = JobDisplay({account: name for name, account in accounts.items()})
    submitted = time.time()
    job_id = ""

    async def submit() -> str:
        nonlocal job_id
        job_id = await user.client.submit(wish)
        return job_id

    await follow(display, {name: node.client for name, node in network.nodes.items()}, submit, console=console)
    description = msgspec.to_builtins(await user.client.job(job_id))
    model = description.get("model_path")
    model_metric = await _test_again(job, Path(model), user.account, network.folder) if model else None
    after = await balances(network.reader, accounts)
    gas = await gas_by_role(
        network.rpc, network.deployment, first_block + 1, await network.reader.block_number(), accounts
    )
    return build_receipt(
        description,
        names={account: name for name, account in accounts.items()},
        before=before,
        after=after,
        gas=gas,
        display=display,
        submitted_at=submitted,
        model_metric=model_metric,
    )


async def _test_again(job: Job, model: Path, account: Address, folder: Path) -> float | None:
    """Load the trained model once more and test it: the receipt's claim, checked."""
    inspection = inspect_job(job.program)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    score = await SandboxRunner(scratch).evaluate(
        code=inspection.folder,
        entry=inspection.entry,
        model=model,
        test=job.test,
        metric=job.config.metric or "",
        validator=account,
        limits=Limits(wall_s=TESTING_S, threads=1),
    )
    return score.metric_e6 / 1e6


async def _keep(network: Network, console: Console) -> None:
    """Leave the market open until Ctrl-C, and say how to use it.

    Ctrl-C is how a kept market is meant to end, so it is no interruption: the exit status stays the job's.
    """
    user = network.nodes["user-1"]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        console.print(
            "\nThe market stays open until Ctrl-C. Submit to it from another terminal:\n"
            f"  {program()} submit SCRIPT --train DIR --test DIR --metric accuracy --threshold 0.9 --reserve 100 "
            f"--data-folder {shlex.quote(str(user.folder))}",
            soft_wrap=True,
            highlight=False,
        )
        await _show_page(network, console)
        async for _ in signals:
            return


async def _show_page(network: Network, console: Console) -> None:
    """Say where the end user's page is; on a line of its own, whole, so that a terminal makes it a link."""
    user = network.nodes["user-1"]
    try:
        link = await user.client.link()
    except NodeRefused:
        return  # its configuration comes from the environment, too, and may want no page
    console.print(
        "Watch it in a browser (the address works once, within a minute; for another one run the command below it):\n"
        f"  {link}\n"
        f"  {program()} dashboard --data-folder {shlex.quote(str(user.folder))}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _wish(job: Job, validators: int) -> JobWish:
    """The job as this market can take it.

    Raises:
        BadInput: nobody could train or test it, or so few validators cannot vouch for its reserve.
    """
    config = job.config
    if config.metric is None or config.threshold is None:
        raise BadInput(f"{job.program} needs a metric and a threshold: write them into a morphware.toml beside it.")
    inspection = inspect_job(job.program)
    check_metric(inspection, config.metric, config.threshold)
    check_data(inspection, job.train, job.test)
    seats = min(SEATS, validators - 1 + validators % 2)
    usual = min(RESERVE_WEI, most_reserve_wei(SEAT_STAKE_WEI, seats))
    reserve = usual if config.reserve is None else parse_tokens(str(config.reserve))
    check_price(reserve, None, seats, SEAT_STAKE_WEI)
    return JobWish(
        program=job.program,
        train=job.train,
        test=job.test,
        metric=config.metric,
        threshold=config.threshold,
        reserve_wei=reserve,
        estimated_s=config.estimated_seconds or ESTIMATED_S,
        training_s=max(TRAINING_S, 3 * (config.estimated_seconds or ESTIMATED_S)),
        testing_s=TESTING_S,
        bidding_s=BIDDING_S,
        seats=seats,
        memory_bytes=(config.memory_mib or 2048) << 20,
    )


def _find_job(name: str, folder: Path, seed: int) -> Job:
    """An example by name, or a job by path: a folder (or a script in one) with ``train/`` and ``test/`` beside it."""
    if find_example(name) is not None:
        _make(folder)
        example = prepare_example(name, folder / "example", seed)
        return Job(example.code / example.entry, example.train, example.test, example.config)
    path = Path(name)
    if not path.exists():
        raise BadInput(f"There is no job {name}: name a path, an example ({', '.join(example_names())}), or {NO_JOB}.")
    beside = path if path.is_dir() else path.parent
    for part in ("train", "test"):
        if not (beside / part).is_dir():
            raise BadInput(f"{beside} has no folder {part}/ with the {part}ing data: put it beside the job.")
    return Job(path, beside / "train", beside / "test", inspect_job(path).config)
