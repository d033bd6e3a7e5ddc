"""``morphware status``, ``pause``, ``resume`` and ``offers``: what the running node does, and on which terms."""

import sys
from pathlib import Path

from morphware.node.api.answers.node import NetworkView, Operator
from morphware.node.cli.printing import SHORT_ID, pairs, print_done, print_json, table_of, text
from morphware.node.cli.submit import data_folder_of
from morphware.node.client import Client
from morphware.node.errors import BadInput, ExitStatus
from morphware.node.wording import counted


def print_status(data_folder: Path | None, *, as_json: bool) -> int:
    """Everything about the node on one screen."""
    client = Client(data_folder_of(data_folder))
    status, wallet, network, operator = client.status(), client.wallet(), client.network(), client.operator()
    if as_json:
        print_json({"status": status, "wallet": wallet, "network": network, "operator": operator})
        return ExitStatus.SUCCESS
    from rich.console import Console

    from morphware.node.wording import duration, size, tokens, with_symbol

    chain = network.chain
    money = (
        f"{with_symbol(int(wallet.free_wei))} free, {tokens(int(wallet.escrow_wei))} locked in jobs, "
        f"{tokens(int(wallet.staked_wei))} staked, {tokens(int(wallet.wallet_wei))} in the wallet"
    )
    fetched = sum(transfer.doing == "fetching" for transfer in network.transfers)
    down, up = (size(sum(rates)) for rates in _rates(network))
    rows = [
        ("node", f"{status.name} ({', '.join(status.roles) or 'no role'}), version {status.version}"),
        ("account", status.account),
        ("addresses", " ".join([*status.addresses, status.artifacts])),
        ("peers", f"{status.peers} connected, {status.known_nodes} accounts known"),
        ("chain", f"{chain.chain_id} through {chain.rpc}, block {chain.block}, {duration(chain.behind_s)} ago"),
        ("tokens", money),
        ("coins for gas", tokens(int(wallet.coin_wei))),
        ("transfers", f"{fetched} fetched, {len(network.transfers) - fetched} served; {down}/s down, {up}/s up"),
        *_work(operator),
    ]
    console = Console(highlight=False)
    console.print(pairs(rows))
    if operator.duties:
        table = table_of([("job", {"min_width": SHORT_ID}), ("as", {}), ("name", {}),
                          ("doing", {"no_wrap": False, "overflow": "fold"})])  # fmt: skip
        for duty in operator.duties:
            table.add_row(text(duty.job_id[:SHORT_ID]), text(duty.role), text(duty.name, 32), text(duty.doing))
        console.print()
        console.print(table)
    return ExitStatus.SUCCESS


def _rates(network: NetworkView) -> tuple[list[float], list[float]]:
    """Bytes a second of each transfer, down and up."""
    return [each.down_bytes_s for each in network.transfers], [each.up_bytes_s for each in network.transfers]


def _work(operator: Operator) -> list[tuple[str, str]]:
    """What only those have who work for others."""
    from morphware.node.wording import tokens

    rows = []
    if {"worker", "validator"} & set(operator.roles):
        rows.append(("work", operator.availability + (" Trainings stand still." if operator.is_frozen else "")))
    if "worker" in operator.roles:
        rows.append(("places", f"{operator.occupied} of {operator.capacity} taken"))
    if "validator" in operator.roles:
        rows.append(("seats", f"{operator.busy_seats} of {operator.seats} sit in jobs"))
    earned = sum(int(day.amount_wei) for day in operator.earnings)
    if operator.earnings:
        rows.append(("earned", f"{tokens(earned)} on {counted(len({day.day for day in operator.earnings}), 'day')}"))
    if operator.slashes:
        last = operator.slashes[0]
        rows.append(
            ("slashed", f"{counted(len(operator.slashes), 'time')}; of {tokens(int(last.amount_wei))}: {last.sentence}")
        )
    return rows


def pause_node(data_folder: Path | None, *, freeze: bool, as_json: bool) -> int:
    """No new jobs."""
    print_done(Client(data_folder_of(data_folder)).pause(freeze=freeze), as_json=as_json)
    return ExitStatus.SUCCESS


def resume_node(data_folder: Path | None, *, as_json: bool) -> int:
    """Jobs again."""
    print_done(Client(data_folder_of(data_folder)).resume(), as_json=as_json)
    return ExitStatus.SUCCESS


def print_offers(data_folder: Path | None, *, changes: list[str], reset: list[str], as_json: bool) -> int:
    """Change the policy where that is asked for, and show it.

    Raises:
        BadInput: a change has no value, a name comes twice, or the node refuses it; then nothing is changed.
    """
    wanted = _wanted(changes, reset)
    client = Client(data_folder_of(data_folder))
    done = client.change_offers(wanted) if wanted else None
    offers = client.operator().offers
    if as_json:
        print_json(offers)
        return ExitStatus.SUCCESS
    if not offers:
        sys.stdout.write("This node is no worker: it bids for no jobs.\n")
        return ExitStatus.SUCCESS
    from rich.console import Console

    console = Console(highlight=False)
    table = table_of([("setting", {}), ("value", {"overflow": "fold", "no_wrap": False}),
                      ("from", {"no_wrap": False, "overflow": "fold"}),
                      ("what it is", {"no_wrap": False, "overflow": "fold"})])  # fmt: skip
    for offer in offers:
        is_changed = offer.name in wanted
        value = f"{offer.value} {offer.unit}".strip() or "-"
        table.add_row(
            text(offer.name), text(value, style="bold" if is_changed else ""), text(offer.origin), text(offer.sentence)
        )
    console.print(table)
    if done is not None:
        print_done(done, as_json=False)
    return ExitStatus.SUCCESS


def _wanted(changes: list[str], reset: list[str]) -> dict[str, str | None]:
    wanted: dict[str, str | None] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"{change!r:.80} is no change: write it like worker.capacity=2.")
        _add(wanted, name.strip(), value.strip())
    for name in reset:
        _add(wanted, name.strip(), None)
    return wanted


def _add(wanted: dict[str, str | None], name: str, value: str | None) -> None:
    if name in wanted:
        raise BadInput(f"{name!r:.80} is named twice: name it once.")
    wanted[name] = value
