"""``morphware testnet --scenario NAME``: real nodes on a real chain, through a failure and to its end.

What everybody gained and lost is printed beside what the specification says, and the exit status is 0 iff they are
equal to the wei.  ``all`` plays every scenario, one market after another.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import trio
from rich.console import Console

from morphware.node.amounts import parse_tokens
from morphware.node.cli.options import ScenarioOptions
from morphware.node.errors import BadInput, ExitStatus, MorphwareError
from morphware.node.log import configure_logging
from morphware.node.testnet.accounting import balances, check_conserved
from morphware.node.testnet.comparison import Comparison, Played, compare, render, render_all
from morphware.node.testnet.deviations import Deviation
from morphware.node.testnet.network import SEAT_STAKE_WEI, Network, running_network
from morphware.node.testnet.rehearsal import Inputs, audits_wei, rehearse
from morphware.node.testnet.scenarios import WORKERS, Scenario, all_names, find
from morphware.node.testnet.shape import Shape
from morphware.node.testnet.stage import ScenarioStuck, Stage
from morphware.node.wishes import JobWish
from morphware.protocol.parameters import Timing
from morphware.protocol.states import State
from morphware.protocol.units import Address, Wei
from morphware.protocol.worker import WorkerPolicy

ALL: Final = "all"
MINIMUM_PRICE: Final = "0.001"
BIDDING_S: Final = 240
"""Long enough for a busy machine; it is over as soon as all who live have bid."""
ESTIMATED_S: Final = 600
"""What bids price; the training itself is over in a moment."""
TESTING_S: Final = 84
PATIENCE_S: Final = 300
"""Far more than a scenario takes: a busy machine must not fail one."""
SETTINGS: Final = {
    # no decoys: what burns with an unopened bid would be a matter of chance
    "worker.decoy_probability": "0.0",
    "worker.minimum_price": f'"{MINIMUM_PRICE}"',
    "chain.poll_s": "0.1",
    # as in the rehearsal: how many seats are free decides whether there is another committee
    "validator.seats": "1",
    # every call is a transaction of its own: whoever vanishes in a state is ended before it makes the next one
    "chain.relay": "false",
}


def run_scenarios(options: ScenarioOptions) -> int:
    """Play what was asked for; the exit status is 0 iff all of it came out as specified."""
    names = list(all_names()) if options.scenario == ALL else [options.scenario]
    scenarios = [find(name) for name in names]  # a wrong name is told before a dozen processes start
    configure_logging(level="error", style="auto", node="testnet")
    return trio.run(_run, options, scenarios)


async def _run(options: ScenarioOptions, scenarios: list[Scenario]) -> int:
    console = Console(stderr=options.json)
    base = (options.folder or Path(tempfile.mkdtemp(prefix="morphware-scenario-"))).absolute()
    comparisons: list[Comparison] = []
    failures = 0
    for scenario in scenarios:
        folder = base / scenario.name.replace(":", "-") if len(scenarios) > 1 else base
        console.print(f"{scenario.name}: {scenario.sentence}, in {folder}", soft_wrap=True, highlight=False)
        try:
            comparison = await play(scenario, folder, options.seed, console)
        except MorphwareError as error:
            if len(scenarios) == 1:
                raise
            failures += 1
            console.print(f"{scenario.name} was not played to its end: {error.sentence}", style="red")
            continue
        comparisons.append(comparison)
        if options.json:
            print(json.dumps(comparison.to_plain(), indent=2 if len(scenarios) == 1 else None), flush=True)
        else:
            console.print(render(comparison))
    if len(scenarios) > 1 and not options.json:
        console.print(render_all(comparisons))
    is_good = not failures and all(comparison.is_as_specified for comparison in comparisons)
    return ExitStatus.SUCCESS if is_good else ExitStatus.NOT_PAID


async def play(scenario: Scenario, folder: Path, seed: int = 1, console: Console | None = None) -> Comparison:
    """Play one scenario on a market of its own.

    Raises:
        BadInput: the folder holds a market already.
        ScenarioStuck: it did not come to its end.
    """
    if (folder / "deployment.json").exists():
        raise BadInput(f"{folder} holds a market already, and a scenario wants a new one: name another --folder.")
    shape = Shape(workers=WORKERS, validators=scenario.validators, seed=seed)
    inputs = _inputs(scenario, shape)
    specified = rehearse(scenario, inputs)
    deviation = Deviation.of(scenario)
    started = trio.current_time()
    async with running_network(
        folder,
        shape,
        timing=inputs.timing,
        settings=SETTINGS,
        deviation=deviation.to_plain() if deviation else None,
        audits_wei=audits_wei(scenario, inputs),
    ) as network:
        wish = _wish(scenario, inputs, folder / "job")
        cheapest = min(inputs.prices_wei, key=lambda name: inputs.prices_wei[name])
        say = (lambda line: console.print(line, highlight=False, soft_wrap=True)) if console else (lambda _: None)
        stage = Stage(network, scenario, cheapest, say)
        played = await _perform(network, stage, wish, started)
    return compare(scenario, inputs, played, specified)


async def _perform(network: Network, stage: Stage, wish: JobWish, started: float) -> Played:
    """Submit the job, let the stage run it, and count everybody's tokens before and after."""
    accounts: dict[str, Address] = {name: node.account for name, node in network.nodes.items()}
    accounts["stranger"] = network.deployer

    refusals: list[MorphwareError] = []

    async def submit() -> None:
        try:
            await network.nodes["user-1"].client.submit(wish)
        except MorphwareError as error:
            if not stage.has_vanished:  # else it was ended while it answered
                refusals.append(error)
                stage.is_over.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(stage.run)
        before = await balances(network.reader, accounts)
        nursery.start_soon(submit)
        with trio.move_on_after(PATIENCE_S):
            await stage.is_over.wait()
        problem = "" if stage.is_over.is_set() else stage.describe()
        nursery.cancel_scope.cancel()
    if refusals:
        raise refusals[0]
    view = stage.view
    if problem or view is None or view.closed is None:
        raise ScenarioStuck(problem)
    after = await balances(network.reader, accounts)
    check_conserved(before, after)
    names = network.names | {network.deployer: "stranger"}
    return Played(
        outcome=view.outcome,
        states=tuple(stage.states),
        winner=names.get(view.winner) if view.winner else None,
        price_wei=view.award.price_wei if view.award else Wei(0),
        gains_wei={name: after.accounts[name].sum_wei - before.accounts[name].sum_wei for name in accounts},
        rounds=tuple(tuple(names[validator] for validator in each.validators) for each in view.rounds),
        rewards_wei=tuple((names[reward.poker], reward.amount_wei) for reward in stage.rewards),
        burned_wei=after.burned_wei - before.burned_wei,
        audits_wei=after.audits_wei - before.audits_wei,
        ended=tuple(stage.ended),
        own_pokes=tuple(stage.own_pokes),
        seconds=trio.current_time() - started,
    )


# --- what the market and the job are ---------------------------------------------------------------------------------


def _inputs(scenario: Scenario, shape: Shape) -> Inputs:
    """As large a reserve as such a committee can vouch for, and bids at the workers' costs."""
    reserve = Wei(SEAT_STAKE_WEI * (scenario.seats + 1) // 4)
    return Inputs(
        reserve_wei=reserve,
        fee_wei=Wei(reserve // 50),
        seat_stake_wei=SEAT_STAKE_WEI,
        prices_wei=_prices(shape),
        timing=_timing(scenario),
        bidding_s=BIDDING_S,
        training_s=ESTIMATED_S,
        testing_s=TESTING_S,
    )


def _prices(shape: Shape) -> Mapping[str, Wei]:
    """What each worker bids: its cost of the job, by its own reckoning."""
    prices = {}
    for index, cost_wei in enumerate(shape.costs()):
        policy = WorkerPolicy(cost_wei, parse_tokens(MINIMUM_PRICE), 0, 0, 0)
        prices[f"worker-{index + 1}"] = policy.cost_wei(ESTIMATED_S)
    return prices


def _timing(scenario: Scenario) -> Timing:
    """Windows in which everybody who lives has the time that he needs; those for appeals only where one is expected."""
    return Timing(
        revealing_s=48,
        keys_s=60,
        acknowledge_s=48,
        dispute_s=30,
        seed_s=60,
        keying_s=90,
        report_reveal_s=48,
        appeal_s=30 if scenario.may_appeal_in is State.TALLIED else 6,
        claim_s=60,
        inspect_s=48 if scenario.may_appeal_in is State.INSPECT else 6,
        draw_s=3,
        unbonding_s=24 * 3600,
        seed_blocks=1,
        audit_one_in=1 if scenario.is_audited else 10,
    )


def _wish(scenario: Scenario, inputs: Inputs, folder: Path) -> JobWish:
    """Three clouds of points, whose labels can be learned, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "train.py"
    shutil.copyfile(Path(__file__).with_name("clouds") / "train.py", program)
    chance = np.random.default_rng(7)
    for name, count in (("train", 300), ("test", 120)):
        labels = chance.integers(0, 3, count)
        middle = labels[:, None] if scenario.is_model_good else 0
        (folder / name).mkdir(exist_ok=True)
        np.save(folder / name / "inputs.npy", chance.normal(size=(count, 4)) * 0.3 + middle)
        np.save(folder / name / "labels.npy", labels)
    return JobWish(
        program=program,
        train=folder / "train",
        test=folder / "test",
        metric="accuracy",
        threshold=0.9,
        reserve_wei=inputs.reserve_wei,
        fee_wei=inputs.fee_wei,
        seats=scenario.seats,
        estimated_s=inputs.training_s,
        training_s=inputs.training_s,
        testing_s=inputs.testing_s,
        bidding_s=inputs.bidding_s,
        memory_bytes=1 << 30,
        disk_bytes=1 << 30,
    )
