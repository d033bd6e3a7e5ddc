"""``morphware wallet``, ``stake`` and ``unstake``: where the account's money is, and to move it."""

import sys
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal

from morphware.node.amounts import parse_tokens
from morphware.node.api.answers.node import Wallet
from morphware.node.cli.printing import SHORT_ID, moment, pairs, print_done, print_json, table_of, text
from morphware.node.cli.submit import data_folder_of
from morphware.node.client import Client
from morphware.node.errors import BadInput, ExitStatus

HISTORY_SIZE: Final = 50
DAY_S: Final = 86_400


def print_wallet(data_folder: Path | None, *, as_json: bool) -> int:
    """Every place where the account has money."""
    wallet = Client(data_folder_of(data_folder)).wallet()
    if as_json:
        print_json(wallet)
        return ExitStatus.SUCCESS
    from rich.console import Console

    Console(highlight=False).print(pairs(_places(wallet)))
    return ExitStatus.SUCCESS


def _places(wallet: Wallet) -> list[tuple[str, str]]:
    from morphware.node.wording import duration, tokens, with_symbol

    free = with_symbol(int(wallet.free_wei))
    if int(wallet.promised_wei):
        free += f", of which {tokens(int(wallet.promised_wei))} are promised to jobs"
    staked = with_symbol(int(wallet.staked_wei))
    if wallet.seats:
        staked += f" in {wallet.seats} seats, of which {wallet.busy_seats} sit in jobs"
    wait_s = wallet.unbonding_s
    wait = f"{wait_s / DAY_S:g} days" if wait_s >= DAY_S else duration(wait_s)
    return [
        ("account", wallet.account),
        ("coins for gas", tokens(int(wallet.coin_wei))),
        ("wallet", f"{with_symbol(int(wallet.wallet_wei))}, outside of the market"),
        ("free", f"{free}"),
        ("locked in jobs", with_symbol(int(wallet.escrow_wei))),
        ("staked", staked),
        ("a seat", f"{with_symbol(int(wallet.seat_stake_wei))}, back {wait} after it is given up"),
    ]


def print_history(data_folder: Path | None, *, page: int, as_json: bool) -> int:
    """What moved the free balance, newest first."""
    history = Client(data_folder_of(data_folder)).history(page, HISTORY_SIZE)
    if as_json:
        print_json(history)
        return ExitStatus.SUCCESS
    if not history.entries:
        sys.stdout.write("Nothing has moved this account's money.\n" if page == 1 else "There is no such page.\n")
        return ExitStatus.SUCCESS
    from rich.console import Console

    from morphware.node.wording import tokens

    table = table_of(
        [("when", {"min_width": 19}), ("MWT", {"justify": "right", "min_width": 10}), ("job", {"min_width": 8}),
         ("what", {"no_wrap": False, "overflow": "fold"})]
    )  # fmt: skip
    for entry in history.entries:
        amount = int(entry.amount_wei)
        style = "green" if amount > 0 else "red" if amount < 0 else "dim"
        table.add_row(
            moment(entry.time_s),
            text(("+" if amount > 0 else "") + tokens(amount), style=style),
            text((entry.job_id or "")[: SHORT_ID - 4]),
            text(f"{entry.kind}: {entry.sentence}"),
        )
    console = Console(highlight=False)
    console.print(table)
    if history.total > len(history.entries):
        pages = -(-history.total // HISTORY_SIZE)
        console.print(text(f"Page {page} of {pages}: more with --page.", style="dim"))
    return ExitStatus.SUCCESS


def move_tokens(way: Literal["deposit", "withdraw"], tokens: str, data_folder: Path | None, *, as_json: bool) -> int:
    """Between the wallet and the market.

    Raises:
        BadInput: it is no amount, or there is not so much.
    """
    amount = parse_tokens(tokens)
    if amount == 0:
        raise BadInput("Name more than 0 tokens, like 12.5.")
    client = Client(data_folder_of(data_folder))
    move = client.deposit if way == "deposit" else client.withdraw
    print_done(move(amount, token_hex(16)), as_json=as_json)
    return ExitStatus.SUCCESS


def move_seats(way: Literal["stake", "unstake"], seats: int, data_folder: Path | None, *, as_json: bool) -> int:
    """More seats, or fewer."""
    client = Client(data_folder_of(data_folder))
    move = client.stake if way == "stake" else client.unstake
    print_done(move(seats, token_hex(16)), as_json=as_json)
    return ExitStatus.SUCCESS
