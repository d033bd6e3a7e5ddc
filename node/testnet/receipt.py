"""The receipt of a job: what was promised, bid, trained, reported and paid, for people (tables) and programs (JSON).

Amounts are decimal strings of wei.  Metrics are in their natural unit (a loss as the positive number that it is).
``balances.before`` and ``.after`` list every account (wallet, free and staked together), what the contract holds for
jobs and for random audits, and the burned amount: their sum is the token's supply, and a receipt whose sums differ is
not made.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from morphware.node.testnet.accounting import Balances, Gas, check_conserved
from morphware.node.testnet.display import JobDisplay
from morphware.node.wording import duration, natural, number, short_account, shown, tokens, with_symbol
from morphware.protocol.metrics import KNOWN_METRICS
from morphware.protocol.units import FINGERPRINT_SCALE, Address

Receipt = dict[str, Any]
"""Plain data, ready to become JSON."""

CLOSED: Final = "CLOSED"
PAID: Final = "PAID"


def build_receipt(
    job: Mapping[str, Any],
    *,
    names: Mapping[Address, str],
    display: JobDisplay,
    submitted_at: float | None = None,
    before: Balances | None = None,
    after: Balances | None = None,
    gas: Gas | None = None,
    model_metric: float | None = None,
) -> Receipt:
    """Put everything known of a job together.

    Args:
        job: as ``AsyncClient.job`` describes it.
        names: accounts by name; others are shown by their address.
        display: what followed the job, for its seconds.
        submitted_at: seconds since the epoch, if that was before the display began.
        before, after: all balances; without them the receipt has none.
        gas: what the blocks of the job cost; without it the receipt has none.
        model_metric: what the trained model, loaded again, scored; as on chain (a loss negated).

    Raises:
        NotConserved: the sums of the balances differ.
    """
    metric = str(job.get("metric") or "")
    found = job.get("metric_value")
    receipt: Receipt = {
        "outcome": job.get("outcome"),
        "reason": job.get("reason") or "",
        "problem": job.get("problem") or "",
        "job_id": job.get("job_id"),
        "name": job.get("name") or "",
        "reserve_wei": job.get("reserve_wei"),
        "fee_wei": job.get("fee_wei"),
        "price_wei": job.get("price_wei"),
        "winner": _winner(job, names),
        "bids": _bids(job, names),
        "metric_name": metric,
        "threshold": _natural(metric, job.get("threshold")),
        "metric": _natural(metric, found),
        "metric_value": _natural(metric, found),
        "verdict": job.get("verdict"),
        "reports": _reports(job, names),
        "audit": job.get("audit"),
        "unheard": job.get("unheard") or [],
        "burned_wei": job.get("burned_wei"),
        "seconds": _seconds(display, submitted_at),
        "model_path": job.get("model_path"),
        "model_metric": _natural(metric, model_metric),
    }
    if before is not None and after is not None:
        check_conserved(before, after)
        receipt["balances"] = _balances(before, after)
    if gas is not None:
        receipt["gas"] = gas.to_plain()
    return receipt


def receipt_text(receipt: Receipt) -> str:
    """The receipt as JSON text."""
    return json.dumps(receipt, indent=2)


# --- the parts ------------------------------------------------------------------------------------------------------


def _name(text: str | None, names: Mapping[Address, str]) -> str | None:
    if text is None:
        return None
    account = Address(bytes.fromhex(text.removeprefix("0x")))
    return names.get(account) or short_account(account)


def _winner(job: Mapping[str, Any], names: Mapping[Address, str]) -> dict[str, Any] | None:
    winner = job.get("winner")
    return None if winner is None else {"name": _name(winner["account"], names)} | dict(winner)


def _bids(job: Mapping[str, Any], names: Mapping[Address, str]) -> list[dict[str, Any]]:
    """Every sealed bid; ``role`` says what it was for the auction's outcome."""
    winner, price_wei = job.get("winner"), job.get("price_wei")
    bids = []
    is_second_found = False
    for bid in job.get("bids") or ():
        is_won = bool(winner and bid["is_authentic"] and _is_same(bid, winner["account"], winner["bid_wei"]))
        is_second = bool(
            winner
            and bid["is_authentic"]
            and not is_second_found
            and bid["bidder"] != winner["account"]
            and bid["price_wei"] == price_wei
        )
        is_second_found = is_second_found or is_second
        bids.append(
            {
                "bidder": _name(bid["bidder"], names),
                "account": bid["bidder"],
                "price_wei": bid["price_wei"],
                "is_authentic": bid["is_authentic"],
                "is_opened": bid["is_opened"],
                "is_winner": is_won,
                "is_second": is_second,
            }
        )
    return bids


def _is_same(bid: Mapping[str, Any], account: str, price_wei: str) -> bool:
    return bool(bid["bidder"] == account and bid["price_wei"] == price_wei)


def _reports(job: Mapping[str, Any], names: Mapping[Address, str]) -> list[dict[str, Any]]:
    metric = str(job.get("metric") or "")
    return [
        {
            "validator": _name(report["validator"], names),
            "account": report["validator"],
            "is_committed": report["is_committed"],
            "metric": _natural(metric, report["metric"]),
            "fingerprint_e9": report["fingerprint_e9"],
            "fee_wei": report["fee_wei"],
            "slash_wei": report["slash_wei"],
        }
        for report in job.get("reports") or ()
    ]


def _natural(metric: str, value: Any) -> Any:
    """Numbers in the metric's own unit; codes and what is missing as they are."""
    return natural(metric, value) if isinstance(value, int | float) else value


def _seconds(display: JobDisplay, submitted_at: float | None) -> dict[str, Any]:
    """``total`` runs from the submission to the payout; ``overhead`` is all but training and evaluation."""
    progress = display.progress
    now_s = progress.ended_s if progress.ended_s is not None else time.time()
    phases = progress.seconds_by_phase(now_s)
    delivery_s = phases.pop(CLOSED, None)
    if submitted_at is not None and progress.phases:
        first = progress.phases[0]
        phases[first.name] += max(0.0, first.since_s - submitted_at)
    total_s = sum(phases.values())
    training_s, evaluation_s = progress.training_s, progress.evaluation_s()
    overhead_s = None if training_s is None else max(0.0, total_s - training_s - (evaluation_s or 0.0))
    return {
        "total": round(total_s, 3),
        "phases": {name: round(value, 3) for name, value in phases.items()},
        "training": _rounded(training_s),
        "evaluation": _rounded(evaluation_s),
        "overhead": _rounded(overhead_s),
        "delivery": _rounded(delivery_s),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _balances(before: Balances, after: Balances) -> dict[str, Any]:
    first, last = before.to_plain(), after.to_plain()
    return {
        "before": first,
        "after": last,
        "change": {name: str(int(last[name]) - int(first.get(name, "0"))) for name in last},
        "sum": {"before": str(before.sum_wei), "after": str(after.sum_wei)},
        "details": {"before": before.details(), "after": after.details()},
    }


# --- for people -----------------------------------------------------------------------------------------------------


def print_receipt(receipt: Receipt, console: Console) -> None:
    """The receipt as tables; the model's path stays on one line, to be copied, however narrow the terminal is."""
    console.print(_tables(receipt))
    if receipt["outcome"] == PAID:
        console.print(Text("\n").append(_model(receipt)), soft_wrap=True)


def _tables(receipt: Receipt) -> RenderableType:
    parts: list[RenderableType] = [_headline(receipt)]
    if receipt["bids"]:
        parts.append(_bids_table(receipt))
    if receipt["reports"]:
        parts.append(_reports_table(receipt))
    if receipt["audit"] is not None:
        parts.append(_audit(receipt["audit"]))
    if receipt["unheard"]:
        parts.append(_unheard(receipt["unheard"]))
    if "balances" in receipt:
        parts.append(_balances_table(receipt["balances"]))
    if "gas" in receipt:
        parts.append(_gas_table(receipt["gas"]))
    if receipt["seconds"]["phases"]:
        parts.append(_times(receipt["seconds"]))
    spaced: list[RenderableType] = [parts[0]]
    for part in parts[1:]:
        spaced += [Text(), part]
    return Group(*spaced)


def _headline(receipt: Receipt) -> Text:
    is_paid = receipt["outcome"] == PAID
    line = Text()
    line.append(shown(receipt["outcome"], 20), "bold green" if is_paid else "bold red")
    line.append(f"  {shown(receipt['reason'])}")
    if receipt["problem"]:
        line.append(f"\n{shown(receipt['problem'])}", "yellow")
    if receipt["name"]:
        line.append(f"\n{shown(receipt['name'], 80)}")
    line.append(f"\njob {shown(receipt['job_id'], 64)}", "dim")
    if receipt["winner"] is not None:
        winner = receipt["winner"]
        line.append(
            f"\n{shown(winner['name'], 40)} won with a bid of {with_symbol(int(winner['bid_wei']))} and "
            f"{'was paid' if is_paid else 'was promised'} {with_symbol(int(receipt['price_wei']))} "
            f"(reserve {tokens(int(receipt['reserve_wei']))})"
        )
    return line


def new_table(title: str, *columns: tuple[str, bool]) -> Table:
    """A table whose number columns stand to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    for name, is_number in columns:
        # a number is shown whole, and text gives way to it
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def _bids_table(receipt: Receipt) -> Table:
    table = new_table("Bids", ("bidder", False), ("bid (MWT)", True), ("", False))
    for bid in sorted(receipt["bids"], key=lambda bid: (bid["price_wei"] is None, int(bid["price_wei"] or 0))):
        kind = "never opened" if not bid["is_opened"] else "bid" if bid["is_authentic"] else "decoy"
        kind = "winner" if bid["is_winner"] else "sets the price" if bid["is_second"] else kind
        price = "sealed" if bid["price_wei"] is None else tokens(int(bid["price_wei"]))
        style = "bold green" if bid["is_winner"] else "dim" if kind in ("decoy", "never opened") else ""
        table.add_row(Text(shown(bid["bidder"], 40)), price, kind, style=style)
    return table


def _reports_table(receipt: Receipt) -> Table:
    name, threshold = shown(receipt["metric_name"], 40), number(receipt["threshold"])
    limit = "at most" if _is_loss(receipt["metric_name"]) else "at least"
    title = f"Reports: {name} {number(receipt['metric'])} (promised: {limit} {threshold})"
    table = new_table(title, ("validator", False), (name, True), ("fingerprint", True), ("fee (MWT)", True))
    for report in receipt["reports"]:
        fingerprint = report["fingerprint_e9"]
        fee = "-" if report["fee_wei"] is None else tokens(int(report["fee_wei"]))
        slash = int(report["slash_wei"] or 0)
        table.add_row(
            Text(shown(report["validator"], 40)),
            "no report" if report["metric"] is None else number(report["metric"]),
            "-" if fingerprint is None else f"{fingerprint / FINGERPRINT_SCALE:.9f}",
            f"{fee} (slashed {tokens(slash)})" if slash else fee,
        )
    return table


def _audit(audit: Mapping[str, Any]) -> Text:
    bond = with_symbol(int(audit["bond_wei"]))
    return Text("Random audit", "bold").append(
        f"  {audit['seats']} more validators tested again, for {bond} of the audit pool", "not bold"
    )


def _unheard(unheard: Sequence[Mapping[str, Any]]) -> Text:
    text = Text("Unheard", "bold")
    for each in unheard:
        what = "an appeal" if each["appellant"] else "a random audit"
        bond, kept = (with_symbol(int(each[key])) for key in ("bond_wei", "kept_wei"))
        text.append(
            f"  {what}: no committee could be drawn for it; of its bond of {bond} the audit pool got {kept}", "not bold"
        )
    return text


def _balances_table(balances: Mapping[str, Any]) -> Table:
    table = new_table("Balances (MWT)", ("", False), ("before", True), ("after", True), ("change", True))
    for name, after in balances["after"].items():
        change = int(balances["change"][name])
        table.add_row(
            Text(shown(name, 40)),
            tokens(int(balances["before"].get(name, "0"))),
            tokens(int(after)),
            Text(f"{'+' if change > 0 else ''}{tokens(change)}", "green" if change > 0 else "red")
            if change
            else Text("0", "dim"),
        )
    table.add_section()
    total = balances["sum"]
    table.add_row("sum", tokens(int(total["before"])), tokens(int(total["after"])), "0", style="bold")
    return table


def _gas_table(gas: Mapping[str, Any]) -> Table:
    table = new_table("Gas", ("role", False), ("calls", True), ("gas", True), ("mostly", False))
    for role, use in gas["by_role"].items():
        mostly = [f"{call} {used['gas']:,}" for call, used in list(use["calls"].items())[:2]]
        table.add_row(role, str(use["transactions"]), f"{use['gas']:,}", ", ".join(mostly))
    table.add_section()
    table.add_row("all", str(gas["transactions"]), f"{gas['gas']:,}", "", style="bold")
    if (job := gas.get("job")) is not None:
        shared = f"instead of {job['apart']} transactions" if job["apart"] > job["transactions"] else ""
        table.add_row("of it the job", str(job["transactions"]), f"{job['gas']:,}", shared, style="bold")
    return table


def _times(seconds: Mapping[str, Any]) -> Text:
    line = Text("Time", "bold").append(f"  {duration(seconds['total'])} from submission to payout", "not bold")
    known = [(name, seconds[name]) for name in ("training", "evaluation", "overhead") if seconds[name] is not None]
    if known:
        line.append("\n= " + " + ".join(f"{name} {duration(value)}" for name, value in known), "not bold")
    phases = "  ".join(f"{name.lower()} {value:.1f}" for name, value in seconds["phases"].items())
    return line.append(f"\n{phases}", "not bold dim")


def _model(receipt: Receipt) -> Text:
    line = Text("Model", "bold")
    if receipt["model_path"] is None:
        return line.append("  none was delivered", "not bold")
    line.append(f"  {shown(receipt['model_path'], 4096)}", "not bold")
    again = receipt["model_metric"]
    if again is not None:
        is_same = again == receipt["metric"]
        line.append(
            f"\nLoaded again, it has {shown(receipt['metric_name'], 40)} {number(again)}"
            + (": as reported." if is_same else f", not {number(receipt['metric'])} as reported."),
            "not bold green" if is_same else "not bold red",
        )
    return line


def _is_loss(metric: str) -> bool:
    return metric in KNOWN_METRICS and natural(metric, 1.0) < 0
