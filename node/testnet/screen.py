"""The picture of a job: sections, and how they share a terminal of any size.

Auction and transfers on the left, training and committee on the right, one below the other where the terminal is
narrow.  What does not fit is counted, not shown.  Strangers' texts enter as ``Text``, never as markup.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from morphware.node import narration
from morphware.node.describe import reason as reason_of
from morphware.node.prospects import prospect
from morphware.node.testnet.drawing import bar, is_logarithmic, plot
from morphware.node.testnet.progress import JobProgress
from morphware.node.wording import duration, number, shown, size, tokens, with_symbol
from morphware.protocol.states import Outcome
from morphware.protocol.units import FINGERPRINT_SCALE
from morphware.protocol.view import BidName

WIDE: Final = 76
"""From this many columns on, two columns of sections fit."""
USUAL_ROWS: Final = 24
ROWS_LEAST: Final = 2
PLOT_ROWS: Final = 9
TIMELINE_ROWS: Final = 2
GOOD, BAD, QUIET, STRONG, NOW = "green", "red", "dim", "bold", "bold cyan"


class Screen:
    """The picture, laid out when the console's size is known."""

    def __init__(self, progress: JobProgress, now_s: float) -> None:
        self._progress = progress
        self._now_s = now_s

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        height = (options.height or console.size.height or USUAL_ROWS) - 1
        top, bottom = self._top(width, options.ascii_only), self._bottom()
        space = height - len(top) - len(bottom)
        left: list[_Section] = [self._auction(), self._transfers(options.ascii_only)]
        right: list[_Section] = [self._training(options.ascii_only), self._committee()]
        if width >= WIDE:
            half = (width - 3) // 2
            grid = Table.grid(padding=(0, 3, 0, 0), pad_edge=False)
            grid.add_column(width=half)
            grid.add_column(width=width - 3 - half)
            grid.add_row(_stack(left, half, space), _stack(right, width - 3 - half, space))
            body: RenderableType = grid
        else:
            body = _stack([*left, *right], width, space)
        yield Group(*top, body, *bottom)

    # --- top and bottom ---------------------------------------------------------------------------------------------

    def _top(self, width: int, is_plain: bool) -> list[RenderableType]:
        progress, now_s = self._progress, self._now_s
        title = Text(shown(progress.spec.name, 80) if progress.spec else "A job for the market", STRONG)
        right = Text(f"block {progress.block}   {progress.elapsed_s(now_s):.1f} s", QUIET)
        if progress.job_id:
            right = Text(f"job {shown(progress.job_id, 9)}  ", QUIET) + right
        title.truncate(max(10, width - right.cell_len - 2), overflow="ellipsis")
        head = Table.grid(expand=True)
        head.add_column(no_wrap=True)
        head.add_column(justify="right", no_wrap=True)
        head.add_row(title, right)
        return [head, self._phase(width, is_plain), *self._timeline(width)]

    def _phase(self, width: int, is_plain: bool) -> Text:
        progress, now_s = self._progress, self._now_s
        line = Text(no_wrap=True, overflow="ellipsis")
        view = progress.view
        if view is not None and view.closed is not None:
            is_paid = view.outcome is Outcome.PAID
            line.append(view.outcome.name, f"bold {GOOD if is_paid else BAD}")
            return line.append("  " + reason_of(view))
        line.append(progress.state, NOW)
        reason = "the job is looked at, sealed and posted" if view is None else reason_of(view)
        line.append(f"  {reason}")
        left_s = progress.deadline_in_s(now_s)
        if left_s is None or not progress.phases:
            return line
        whole_s = max(1.0, left_s + progress.phases[-1].seconds(now_s))
        deadline = Text("  " + bar(left_s / whole_s, 10, is_plain=is_plain), "yellow" if left_s < 3 else "cyan")
        deadline.append(f" {duration(left_s)} left" if left_s > 0 else " deadline passed")
        line.truncate(max(0, width - deadline.cell_len), overflow="ellipsis")
        return line + deadline

    def _timeline(self, width: int) -> list[Text]:
        """Phases with their seconds, on a few lines; the earliest give way to the latest."""
        lines = [Text()]
        for phase in self._progress.phases:
            if phase.name == "CLOSED":
                continue
            is_now = phase is self._progress.phases[-1] and not self._progress.is_over
            part = Text(f"{phase.name.lower()} ", NOW if is_now else QUIET)
            part.append(f"{phase.seconds(self._now_s):.1f}", STRONG)
            if lines[-1] and lines[-1].cell_len + 3 + part.cell_len > width:
                lines.append(Text())
            lines[-1].append("   " if lines[-1] else "").append_text(part)
        return [_one_line(line) for line in lines[-TIMELINE_ROWS:]]

    def _bottom(self) -> list[RenderableType]:
        progress = self._progress
        lines: list[RenderableType] = []
        view = progress.view
        if view is not None and view.closed is None and (then := prospect(view)):
            lines.append(_one_line(Text("then  ", QUIET).append(then)))
        if view is not None and view.closed is not None:
            lines.append(_one_line(Text("paid out  ", QUIET).append_text(self._payouts())))
        if progress.troubles:
            lines.append(_one_line(Text(progress.troubles[-1], "yellow")))
        return lines

    def _payouts(self) -> Text:
        progress, view = self._progress, self._progress.view
        assert view is not None
        assert view.closed is not None
        parts = []
        if view.outcome is Outcome.PAID:
            parts.append(f"{progress.name(view.closed.winner)} {with_symbol(view.closed.price_wei)}")
        fees: dict[int, int] = {}
        for settled in view.settled.values():
            fees[settled.fee_wei] = fees.get(settled.fee_wei, 0) + 1
        parts += [f"{count} validators {tokens(fee)} each" for fee, count in sorted(fees.items(), reverse=True)]
        slashed = sum(settled.slash_wei for settled in view.settled.values())
        parts += [f"slashed {tokens(slashed)}"] if slashed else []
        parts.append(f"burned {tokens(view.closed.burned_wei)}")
        return Text(", ".join(parts))

    # --- sections ---------------------------------------------------------------------------------------------------

    def _auction(self) -> "_Section":
        progress, view = self._progress, self._progress.view
        if view is None or not view.bids:
            return _Section("Auction", 1, lambda _w, _r: Text("no bids yet", QUIET))
        shut = len(view.unopened)
        rows: list[tuple[Text, ...]] = []
        second = self._second()
        cheapest = sorted(view.bids, key=lambda bid: _price(view.opened.get((bid.bidder, bid.commitment))))
        for bid in cheapest:
            opened = view.opened.get((bid.bidder, bid.commitment))
            name = Text(progress.name(bid.bidder))
            if opened is None:
                rows.append((name, Text("sealed", QUIET), Text("")))
                continue
            is_winner = bool(
                view.award
                and opened.is_authentic
                and bid.bidder == view.award.winner
                and opened.price_wei == view.award.bid_wei
            )
            note = "winner" if is_winner else "second" if (bid.bidder, bid.commitment) == second else ""
            kind = Text(note or ("bid" if opened.is_authentic else "decoy"), GOOD if is_winner else QUIET)
            name.stylize(f"bold {GOOD}" if is_winner else "" if opened.is_authentic else QUIET)
            rows.append((name, Text(tokens(opened.price_wei), "" if opened.is_authentic else QUIET), kind))
        title = f"Auction: {len(view.bids)} bids"
        if view.award:
            title = f"Auction: price {with_symbol(view.award.price_wei)}"
        elif shut < len(view.bids):
            title += f", {shut} still shut"
        return _Section(title, len(rows), lambda _w, most: _table(rows, most, ("left", "right", "left")))

    def _second(self) -> BidName | None:
        """The bid that set the price, if one did and not the reserve."""
        view = self._progress.view
        if view is None or view.award is None:
            return None
        for name, bid in view.opened.items():
            is_price = bid.is_authentic and bid.price_wei == view.award.price_wei
            if is_price and bid.bidder != view.award.winner:
                return name
        return None

    def _transfers(self, is_plain: bool) -> "_Section":
        fetching = list(self._progress.fetching.items())
        if not fetching:
            return _Section("Transfers", 0, lambda _w, _r: Text(""))
        running = [(who, bundle, one) for (who, bundle), one in fetching if not one.is_done]
        done: dict[str, list[str]] = {}
        for (who, bundle), one in fetching:
            if one.is_done:
                done.setdefault(bundle, []).append(who)

        def draw(width: int, most: int) -> RenderableType:
            rows = []
            for who, bundle, one in reversed(running):
                share = one.done_bytes / one.total_bytes if one.total_bytes > 0 else 0.0
                progress = Text(bar(share, max(4, width - 33), is_plain=is_plain), "cyan")
                rows.append((Text(bundle), Text(who), progress, Text(f"{size(one.rate_bytes_s)}/s")))
            for bundle, names in reversed(done.items()):
                by = Text(names[0] if len(names) == 1 else f"{len(names)} nodes")
                rows.append((Text(bundle), by, Text("has it" if len(names) == 1 else "have it", GOOD), Text("")))
            return _table(rows, most, ("left", "left", "left", "right"))

        return _Section("Transfers", len(running) + len(done), draw)

    def _training(self, is_plain: bool) -> "_Section":
        progress = self._progress
        main = progress.main_series()
        if main is None and not progress.output and progress.training_since_s is None:
            return _Section("Training", 0, lambda _w, _r: Text(""))
        title = "Training"
        if main is not None:
            title = f"Training: {main.name} {number(main.last_value)}, step {main.last_step}"
            title += " (log scale)" if is_logarithmic(main.values) else ""

        others = [f"{each.name} {number(each.last_value)}" for each in progress.series.values() if each is not main]

        def draw(width: int, most: int) -> RenderableType:
            output = list(progress.output)
            for_output = min(len(output), max(1, most // 3)) if most > 3 or main is None else 0
            parts: list[RenderableType] = []
            if main is not None:
                rows = most - for_output - bool(others and most > ROWS_LEAST)
                lines = plot(main.values, width, max(1, rows), is_plain=is_plain)
                parts += [Text(line, "cyan", no_wrap=True, overflow="crop") for line in lines]
            parts += [_one_line(Text("   ".join(others), QUIET))] if others and most > ROWS_LEAST else []
            parts += [_one_line(Text(line, QUIET)) for line in (output[-for_output:] if for_output else [])]
            return Group(*parts)

        return _Section(title, PLOT_ROWS if main is not None else max(1, len(progress.output)), draw)

    def _committee(self) -> "_Section":
        progress, view = self._progress, self._progress.view
        if view is None or not view.validators:
            return _Section("Validators", 0, lambda _w, _r: Text(""))
        metric = progress.spec.metric if progress.spec else ""
        rows = []
        for validator in view.validators:
            name = progress.name(validator)
            revealed, settled = view.revealed.get(validator), view.settled.get(validator)
            found, fingerprint = Text(""), Text("")
            status = Text(progress.doing.get(name, "drawn"), QUIET)
            if revealed is not None:
                is_good = revealed.metric_e6 >= view.terms.threshold_e6
                found = Text(narration.value(metric, revealed.metric_e6), GOOD if is_good else BAD)
                fingerprint = Text(f"{revealed.fingerprint_e9 / FINGERPRINT_SCALE:.6f}", QUIET)
                status = Text("reported")
            elif validator in view.committed:
                status = Text("committed", "cyan")
            if settled is not None:
                status = Text(f"paid {tokens(settled.fee_wei)}", GOOD)
                if settled.slash_wei:
                    status = Text(f"lost {tokens(settled.slash_wei)}", BAD)
            rows.append((Text(name), status, found, fingerprint))
        title = f"Validators: {narration.goal(view, metric)}"
        if view.tally is not None:
            title = f"Validators: {view.tally.verdict.name}, {shown(metric, 24)} {number(self._median())}"
        return _Section(title, len(rows), lambda _w, most: _table(rows, most, ("left", "left", "right", "right")))

    def _median(self) -> float | str:
        view, spec = self._progress.view, self._progress.spec
        assert view is not None
        assert view.tally is not None
        return narration.value(spec.metric if spec else "", view.tally.metric_e6)


# --- laying out -----------------------------------------------------------------------------------------------------


class _Section:
    """A title over some rows. ``rows`` is what it would like; ``draw`` gets the width and the rows that it may use."""

    def __init__(self, title: str, rows: int, draw: Callable[[int, int], RenderableType]) -> None:
        self.title = title
        self.rows = rows
        self.draw = draw


def _stack(sections: Sequence[_Section], width: int, space: int) -> Group:
    """Sections below each other; rows are given out one by one, so that the small ones are whole."""
    wanted = [section for section in sections if section.rows]
    given = {id(section): min(section.rows, ROWS_LEAST) for section in wanted}
    left = space - len(wanted) - sum(given.values())
    while left > 0 and (hungry := [section for section in wanted if given[id(section)] < section.rows]):
        for section in hungry[:left]:
            given[id(section)] += 1
        left -= len(hungry)
    parts: list[RenderableType] = []
    for section in wanted:
        title = Text(section.title, STRONG)
        title.truncate(max(4, width - 4), overflow="ellipsis")
        parts += [Rule(title, align="left", style=QUIET), section.draw(width, given[id(section)])]
    return Group(*parts)


def _table(rows: Sequence[tuple[Text, ...]], most: int, alignments: Iterable[Any]) -> Table:
    """Rows of a grid, a line each; those that do not fit are counted in the last one."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for alignment in alignments:
        table.add_column(justify=alignment, no_wrap=True, overflow="ellipsis")
    kept = rows if len(rows) <= most else rows[: max(0, most - 1)]
    for row in kept:
        table.add_row(*row)
    if len(kept) < len(rows):
        table.add_row(Text(f"+ {len(rows) - len(kept)} more", QUIET))
    return table


def _price(opened: Any) -> tuple[bool, int]:
    """Opened bids by price, then sealed ones."""
    return (opened is None, 0 if opened is None else opened.price_wei)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
