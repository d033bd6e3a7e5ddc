"""The commands about a running node and its account's money; the work is imported only by the command that does it."""

from typing import Annotated

import typer

from morphware.node.cli.fence import fenced
from morphware.node.cli.flags import AsJson, DataFolder
from morphware.node.cli.panels import MONEY, NODE, Verb, add_verbs

Seats = Annotated[int, typer.Argument(min=1, max=1024, help="How many seats.")]
Amount = Annotated[str, typer.Argument(metavar="TOKENS", help="How many tokens, like 12.5.")]

wallet_app = typer.Typer(invoke_without_command=True, help="Show the account's money; deposit, withdraw.")


@fenced
def status(data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Show the running node: its account and balances, the chain and its lag, peers, and whether it takes jobs."""
    from morphware.node.cli.standing import print_status

    return print_status(data_folder, as_json=as_json)


@fenced
def pause(
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Let a training that runs stand still, too, as long as its time allows.")
    ] = False,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Take no new jobs until `morphware resume`; promises that were made are kept."""
    from morphware.node.cli.standing import pause_node

    return pause_node(data_folder, freeze=freeze, as_json=as_json)


@fenced
def resume(data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Take jobs again."""
    from morphware.node.cli.standing import resume_node

    return resume_node(data_folder, as_json=as_json)


@fenced
def offers(
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="New values, like worker.capacity=2.")
    ] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Go back to the configuration's value; may be given several times."),
    ] = None,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Show what the worker asks for and when it works, or change it while the node runs."""
    from morphware.node.cli.standing import print_offers

    return print_offers(data_folder, changes=changes or [], reset=reset or [], as_json=as_json)


@fenced
def dashboard(
    data_folder: DataFolder = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, or only print its address.")
    ] = True,
    as_json: AsJson = False,
) -> int:
    """Open the running node's web page: the address that it prints lets one browser in, once, within a minute."""
    from morphware.node.cli.dashboard import open_dashboard

    return open_dashboard(data_folder, is_browser_wanted=browser, as_json=as_json)


@wallet_app.callback(epilog="Example: morphware wallet --history --data-folder ~/user")
def wallet(
    context: typer.Context,
    history: Annotated[
        bool, typer.Option("--history", help="Show what moved the money instead, newest first.")
    ] = False,
    page: Annotated[int, typer.Option(min=1, max=1_000_000, help="Which page of the history.")] = 1,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show where the account's money is, or what moved it; deposit into the market, withdraw from it."""
    if context.invoked_subcommand is not None:
        _refuse_early_options(context, history=history, page=page)
        context.obj = (data_folder, as_json)
        return
    _show_wallet(data_folder=data_folder, is_history=history, page=page, as_json=as_json)


@wallet_app.command(epilog="Example: morphware wallet deposit 12.5 --data-folder ~/user")
@fenced
def deposit(context: typer.Context, tokens: Amount, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Move tokens from the wallet into the market."""
    from morphware.node.cli.money import move_tokens

    early_folder, is_early_json = context.obj or (None, False)
    return move_tokens("deposit", tokens, data_folder or early_folder, as_json=as_json or is_early_json)


@wallet_app.command(epilog="Example: morphware wallet withdraw 12.5 --data-folder ~/user")
@fenced
def withdraw(context: typer.Context, tokens: Amount, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Move free tokens from the market to the wallet."""
    from morphware.node.cli.money import move_tokens

    early_folder, is_early_json = context.obj or (None, False)
    return move_tokens("withdraw", tokens, data_folder or early_folder, as_json=as_json or is_early_json)


@fenced
def stake(seats: Seats, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Take more seats as a validator; their stakes come from the free balance, then from the wallet."""
    from morphware.node.cli.money import move_seats

    return move_seats("stake", seats, data_folder, as_json=as_json)


@fenced
def unstake(seats: Seats, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Give up seats; they are drawn no more, and their stakes come back after the unbonding time."""
    from morphware.node.cli.money import move_seats

    return move_seats("unstake", seats, data_folder, as_json=as_json)


def add_node_verbs(app: typer.Typer) -> None:
    """In the order of the help."""
    where = "--data-folder ~/worker"
    verbs: list[Verb] = [
        ("status", status, f"status {where}"),
        ("pause", pause, f"pause --freeze {where}"),
        ("resume", resume, f"resume {where}"),
        ("offers", offers, f"offers worker.price_per_hour=2 --reset worker.capacity {where}"),
        ("dashboard", dashboard, "dashboard --data-folder ~/node"),
    ]
    add_verbs(app, NODE, verbs)
    app.add_typer(wallet_app, name="wallet", rich_help_panel=MONEY)
    moves: list[Verb] = [
        ("stake", stake, "stake 2 --data-folder ~/validator"),
        ("unstake", unstake, "unstake 2 --data-folder ~/validator"),
    ]
    add_verbs(app, MONEY, moves)


@fenced
def _show_wallet(*, data_folder: DataFolder, is_history: bool, page: int, as_json: bool) -> int:
    from morphware.node.cli.money import print_history, print_wallet

    if is_history:
        return print_history(data_folder, page=page, as_json=as_json)
    return print_wallet(data_folder, as_json=as_json)


def _refuse_early_options(context: typer.Context, *, history: bool, page: int) -> None:
    if history or page != 1:
        raise typer.BadParameter(f"--history and --page have no use for `wallet {context.invoked_subcommand}`.")
