"""``morphware``: the commands, their options and help. The work is imported only by the command that does it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from morphware.node.cli.bench import bench_app
from morphware.node.cli.doctor import doctor
from morphware.node.cli.fence import fenced, note_data_folder
from morphware.node.cli.flags import AsJson, DataFolder, PasswordFile, RoleName
from morphware.node.cli.init import init
from morphware.node.cli.job_verbs import add_job_verbs
from morphware.node.cli.node_verbs import add_node_verbs
from morphware.node.cli.panels import BEGIN, JOBS, SET_UP
from morphware.node.errors import BadInput

if TYPE_CHECKING:
    from morphware.node.config import Config

app = typer.Typer(
    name="morphware",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A marketplace for machine learning: training jobs are auctioned, trained, validated and paid.",
    epilog="First steps: `morphware testnet --job digits` runs a whole market on this machine; `morphware init` begins "
    "a node of your own.",
)


LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "human", "json"]

app.command(
    epilog="Example: morphware init --data-folder ~/worker --role worker --deployment deployment.json "
    "--rpc-url http://127.0.0.1:8545 --password-file password.txt --yes",
    rich_help_panel=BEGIN,
)(init)
app.command(epilog="Example: morphware doctor --data-folder ~/worker", rich_help_panel=BEGIN)(doctor)


@app.command(
    epilog="Example: morphware run --role worker --rpc-url http://127.0.0.1:8545 --data-folder ~/worker",
    rich_help_panel=BEGIN,
)
@fenced
def run(
    role: Annotated[
        list[RoleName] | None, typer.Option(help="What this node does; may be given several times.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file (default: morphware.toml in the data folder, if it is there).")
    ] = None,
    data_folder: DataFolder = None,
    name: Annotated[str | None, typer.Option(help="What the node calls itself in its logs.")] = None,
    rpc_url: Annotated[str | None, typer.Option(help="JSON-RPC address of a node of the chain.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Show the settings and where each came from; start nothing.")
    ] = False,
    as_json: AsJson = False,
    log_level: Annotated[LogLevel, typer.Option(help="The least serious lines to write.")] = "info",
    log_format: Annotated[LogFormat, typer.Option(help="auto: human on a terminal, json elsewhere.")] = "auto",
) -> None:
    """Run one node of the market until Ctrl-C."""
    from morphware.node.config_loading import load_config

    flags: dict[str, Any] = dict(_setting(text) for text in settings or [])
    flags |= {
        "node.roles": [name.value for name in role] if role else None,
        "node.data_folder": data_folder,
        "node.name": name,
        "chain.rpc_url": rpc_url,
    }
    loaded = load_config(config, flags=flags)
    note_data_folder(loaded.config.node.data_folder)
    if print_config:
        from morphware.node.config_text import printed_config, printed_config_json

        typer.echo(printed_config_json(loaded) if as_json else printed_config(loaded), nl=False)
        return
    from morphware.node.log import configure_logging

    configure_logging(level=log_level, style=log_format, node=loaded.config.node.name)
    from morphware.node.node import run_node

    run_node(loaded.config, _typed_password(loaded.config))


@app.command("testnet", epilog="Example: morphware testnet --job digits --json > receipt.json", rich_help_panel=BEGIN)
@fenced
def local_market(
    job: Annotated[
        str, typer.Option(help="digits, tabular, the path of a job, or none: a market kept open.")
    ] = "digits",
    workers: Annotated[int | None, typer.Option(min=0, max=32, help="How many workers bid (usually 3).")] = None,
    validators: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many validators hold seats (usually 7).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="For the workers' costs and all other chance of the set-up (usually 1).")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running, for `morphware submit`.")] = False,
    as_json: AsJson = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where everything is kept (default: a new one); the same one goes on."),
    ] = None,
    relay: Annotated[
        bool, typer.Option("--relay/--no-relay", help="Whether nodes share transactions, or each sends its own.")
    ] = True,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Play a failure instead, with a job and validators of its own, and hold who lost what against the "
            "specification: vanish:STATE:PARTY, bad-keys, captured-committee, appeal, audit, lazy-committee, or all.",
        ),
    ] = None,
) -> int:
    """Run a whole market on this machine: a chain, a user, workers, validators, and one job from auction to payout."""
    from morphware.node.cli.options import ScenarioOptions, TestnetOptions

    if scenario is not None:
        if keep:
            raise BadInput("A scenario ends with its job, and its market with it: leave out --keep.")
        from morphware.node.testnet.playhouse import run_scenarios

        return run_scenarios(
            ScenarioOptions(scenario=scenario, seed=1 if seed is None else seed, json=as_json, folder=folder)
        )
    from morphware.node.testnet.command import run_testnet

    return run_testnet(
        TestnetOptions(
            job=job,
            workers=workers,
            validators=validators,
            seed=seed,
            keep=keep,
            json=as_json,
            folder=folder,
            relay=relay,
        )
    )


@app.command(
    epilog="Example: morphware submit train.py --train data/train --test data/test --metric accuracy --threshold 0.9 "
    "--reserve 100",
    rich_help_panel=JOBS,
)
@fenced
def submit(
    script: Annotated[Path, typer.Argument(help="A Python script, a notebook, or a folder with one.")],
    train: Annotated[Path | None, typer.Option(help="The folder with the training set.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="The folder with the testing set; its labels* never reach the model.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="With --split protocol: the folder with all of the data.")] = None,
    split: Annotated[
        Literal["user", "protocol"],
        typer.Option(help="Who chooses the testing set: you, or the protocol, which cuts --data by rows into chunks."),
    ] = "user",
    chunks: Annotated[
        int | None, typer.Option(min=2, max=32, help="Into how many chunks the data is cut (default: 10).")
    ] = None,
    test_chunks: Annotated[
        int | None, typer.Option(min=1, max=8, help="How many of them, drawn at random, test the model (default: 2).")
    ] = None,
    reserve: Annotated[
        str | None, typer.Option(metavar="TOKENS", help="The most that you pay (default: as in morphware.toml).")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is measured, like accuracy or r2 (default: as in morphware.toml).")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="The metric that is paid: at least this, or for a loss at most."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Pay in part: a model between this and the threshold is paid its share (default: all or nothing).",
        ),
    ] = None,
    seats: Annotated[int, typer.Option(min=1, max=63, help="How many validators test the model; odd.")] = 5,
    name: Annotated[str | None, typer.Option(help="The job's name (default: its title or the script's name).")] = None,
    estimated_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="How long you believe the training takes (default: 10).")
    ] = None,
    training_minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="The longest training a bid may ask for (default: 3 times the estimate)."),
    ] = None,
    bidding_seconds: Annotated[int | None, typer.Option(min=1, help="How long bids are taken (default: 900).")] = None,
    training_seconds: Annotated[
        int | None, typer.Option(min=1, help="As --training-minutes, which it overrides; for test chains.")
    ] = None,
    testing_seconds: Annotated[
        int | None, typer.Option(min=1, help="How long validators may take (default: the estimate, at least 60).")
    ] = None,
    privacy: Annotated[Literal["sealed", "public"], typer.Option(help="sealed: only the parties can read.")] = "sealed",
    data_folder: DataFolder = None,
    as_json: AsJson = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
) -> int:
    """Offer a training job to the market, through the running node of the data folder."""
    from morphware.node.amounts import parse_metric, parse_tokens
    from morphware.node.cli.options import SubmitOptions
    from morphware.node.errors import BadInput

    is_split = split == "protocol"
    for option, value, is_wanted in (
        ("--train", train, not is_split),
        ("--test", test, not is_split),
        ("--data", data, is_split),
    ):
        if (value is not None) is not is_wanted:
            what = "needs" if is_wanted else "has no use for"
            raise BadInput(
                f"A job with --split {split} {what} {option}: give --train and --test, or --split protocol and --data."
            )
    if not is_split and (chunks is not None or test_chunks is not None):
        raise BadInput("Chunks are cut by the protocol only: add --split protocol, or leave out --chunks.")
    chunks, test_chunks = (chunks or 10, test_chunks or 2) if is_split else (0, 0)
    if is_split and test_chunks >= chunks:
        raise BadInput(f"{test_chunks} of {chunks} chunks leave none to train on: give a smaller --test-chunks.")
    for what, path in (("script", script), ("training set", train), ("testing set", test), ("data", data)):
        if path is not None and not path.exists():
            raise BadInput(f"The {what} {path} does not exist: check the path.")
    if seats % 2 == 0:
        raise BadInput(f"{seats} seats could tie: give an odd number, like {seats + 1}.")
    options = SubmitOptions(
        script=script,
        train=train,
        test=test,
        data=data,
        chunks=chunks,
        test_chunks=test_chunks,
        metric=metric,
        threshold_e6=None if threshold is None else parse_metric(threshold),
        baseline_e6=None if baseline is None else parse_metric(baseline),
        reserve_wei=None if reserve is None else parse_tokens(reserve),
        seats=seats,
        name=name or "",
        estimated_s=_seconds(estimated_minutes),
        training_s=training_seconds or _seconds(training_minutes),
        testing_s=testing_seconds,
        bidding_s=bidding_seconds,
        privacy=privacy,
        data_folder=data_folder,
        json=as_json,
        wait=wait,
    )
    from morphware.node.cli.submit import submit_job

    return submit_job(options)


add_job_verbs(app)
add_node_verbs(app)


@app.command(
    epilog="Example: morphware deploy --rpc-url http://127.0.0.1:8545 --data-folder ~/deployer", rich_help_panel=SET_UP
)
@fenced
def deploy(
    rpc_url: Annotated[str, typer.Option(help="JSON-RPC address of a node of the chain.")],
    data_folder: DataFolder = None,
    password_file: PasswordFile = None,
    output: Annotated[Path, typer.Option(help="The file that every node of the market needs.")] = Path(
        "deployment.json"
    ),
    seat_stake: Annotated[
        str,
        typer.Option(
            metavar="TOKENS",
            help="What one seat of a validator binds; jobs with five of them may offer 3/16 to 3/2 of it.",
        ),
    ] = "300",
    finality_blocks: Annotated[int, typer.Option(min=0, help="Blocks on top of one that make it final.")] = 2,
    audit_one_in: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="One finding in N is audited at random; 0 for none.")
    ] = 10,
) -> None:
    """Put a market of your own on a chain; its tokens go to the account of the data folder."""
    from morphware.node.amounts import parse_tokens
    from morphware.node.cli.deploy import DeployOptions, deploy_market
    from morphware.node.errors import BadInput

    keys_folder, password = _keys_folder(data_folder, password_file)
    if password is None:
        raise BadInput("The keystore needs its password: set MORPHWARE_PASSWORD, or give --password-file.")
    stake_wei = parse_tokens(seat_stake)
    options = DeployOptions(rpc_url, keys_folder.parent, password, output, stake_wei, finality_blocks, audit_one_in)
    typer.echo(f"The market is at {deploy_market(options)}. Give {output} to every node ([chain] deployment).")


@app.command(epilog="Example: morphware config morphware.toml", rich_help_panel=SET_UP)
@fenced
def config(path: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")]) -> None:
    """Write a configuration file that explains every setting."""
    from morphware.node.config_text import write_example

    write_example(path)
    typer.echo(f"Wrote {path}. Edit it, then: morphware run --config {path}")


@app.command(epilog="Example: morphware version --json", rich_help_panel=SET_UP)
@fenced
def version(as_json: AsJson = False) -> None:
    """Show the versions of Morphware and of what it stands on."""
    import json
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    versions = {"python": platform.python_version()}
    for package in ("morphware", "libp2p", "libtorrent", "web3", "trio", "torch"):
        try:
            versions[package] = installed(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    order = ["morphware", *(package for package in versions if package != "morphware")]
    if as_json:
        typer.echo(json.dumps({package: versions[package] for package in order}))
    else:
        typer.echo("\n".join(f"{package} {versions[package]}" for package in order))


keys_app = typer.Typer(no_args_is_help=True, help="Make and show the keys of a node.")
app.add_typer(keys_app, name="keys", rich_help_panel=SET_UP)
app.add_typer(bench_app, name="bench", rich_help_panel=SET_UP)


@keys_app.command("create", epilog="Example: morphware keys create --data-folder ~/worker")
@fenced
def create_keys(data_folder: DataFolder = None, password_file: PasswordFile = None) -> None:
    """Make the keys of a new node, locked with a password; existing keys are never overwritten."""
    import trio

    from morphware.node import keys

    folder, password = _keys_folder(data_folder, password_file)
    if password is None:
        password = typer.prompt("Password for the new keys", hide_input=True, confirmation_prompt=True, err=True)
    made = trio.run(keys.create, folder, password)
    typer.echo(f"Made the keys of account 0x{made.account.hex()} in {folder}. Back that folder up.")


@keys_app.command("show", epilog="Example: morphware keys show --data-folder ~/worker")
@fenced
def show_keys(data_folder: DataFolder = None, as_json: AsJson = False) -> None:
    """Show the public account of a node's keys; asks for no password."""
    import json

    from morphware.node import keys

    folder, _ = _keys_folder(data_folder, None)
    account = f"0x{keys.read_account(folder).hex()}"
    typer.echo(
        json.dumps({"account": account, "folder": str(folder)}) if as_json else f"account {account}\nin {folder}"
    )


def _keys_folder(data_folder: Path | None, password_file: Path | None) -> tuple[Path, str | None]:
    """Where ``morphware run`` looks for the keys, and the password if it need not be asked for."""
    from morphware.node.config import keystore_password
    from morphware.node.config_loading import load_config

    config = load_config(flags={"node.data_folder": data_folder, "keys.password_file": password_file}).config
    return config.node.data_folder / "keys", keystore_password(config.keys)


def _typed_password(config: "Config") -> str | None:
    """What a person types to unlock the keys; None where the password is known already, or nobody is there to ask."""
    import sys

    from morphware.node.config import keystore_password
    from morphware.node.keys import read_account

    if keystore_password(config.keys) is not None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    account = read_account(config.node.data_folder / "keys")  # that there are no keys is said before
    return str(typer.prompt(f"Password for the keys of 0x{account.hex()}", hide_input=True, err=True))


def _seconds(minutes: float | None) -> int | None:
    return None if minutes is None else max(1, round(minutes * 60))


def _setting(text: str) -> tuple[str, str]:
    from morphware.node.errors import BadInput

    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text} has no value: write it like --set worker.capacity=2.")
    return key.strip(), value.strip()


def main() -> None:
    """The entry point of the ``morphware`` program."""
    app()


if __name__ == "__main__":
    main()
