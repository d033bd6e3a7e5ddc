"""All jobs that a node knows, found and described from its memory, ten thousand of them in milliseconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import trio

from morphware.node.api.answers.jobs import Job, JobPage, JobRow, JobsAsked
from morphware.node.api.problems import NOT_FOUND, Refusal
from morphware.node.api.running import Running
from morphware.node.describe import describe, describe_row, describe_unposted, read_names, roles_of
from morphware.node.machines import USER, Machine
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId
from morphware.protocol.view import JobView

NOT_POSTED: Final = "NOT_POSTED"


@dataclass(frozen=True, slots=True)
class _Word:
    """One that is looked for, and the states and outcomes in whose names it is."""

    text: str
    states: frozenset[State]
    outcomes: frozenset[Outcome]

    @classmethod
    def of(cls, text: str) -> "_Word":
        """A word in small letters."""
        states = frozenset(state for state in State if text in state.name.lower())
        outcomes = frozenset(outcome for outcome in Outcome if text in outcome.name.lower())
        return cls(text, states, outcomes)


class Catalogue:
    """Jobs by id, and pages of them by what is looked for, newest first."""

    def __init__(self, node: Running) -> None:
        self._node = node
        self._words: dict[JobId, tuple[str, str]] = {}
        self._posted: dict[JobId, int] = {}

    def job(self, job_id: JobId) -> Job:
        """One job, whole. Raises ``Refusal`` if the node knows no such job."""
        view = self._node.engine.views.get(job_id)
        if view is None:
            return self._unposted(self._machine(job_id))
        model = self._node.job_folder(job_id) / USER / "model"
        has_model = view.user == self._node.account and view.outcome is Outcome.PAID and model.is_dir()
        return describe(
            view,
            account=self._node.account,
            problem=self._problem(job_id),
            model=model if has_model else None,
            posted_at=self._posted_at(job_id),
        )

    def view(self, job_id: JobId) -> JobView:
        """What the chain said of a job. Raises ``Refusal`` if it is on none."""
        view = self._node.engine.views.get(job_id)
        if view is None:
            self._machine(job_id)
            raise Refusal(NOT_FOUND, "This job is not on the chain, so there is nothing to tell of it yet.")
        return view

    async def learn_names(self) -> None:
        """Read the specifications that no search has looked into yet: thousands, after a start, and so in a thread."""
        unread = [view for job_id, view in self._node.engine.views.items() if job_id not in self._words]
        if unread:
            self._words |= await trio.to_thread.run_sync(lambda: {view.job_id: _words_of(view) for view in unread})

    def page(self, asked: JobsAsked) -> JobPage:
        """The jobs that are looked for."""
        found = list(self._found(asked))
        first = (asked.page - 1) * asked.size
        rows = [self._row(job_id) for job_id in islice(found, first, first + asked.size)]
        return JobPage(jobs=rows, total=len(found), page=asked.page, size=asked.size)

    def rows(self) -> list[JobRow]:
        """Every job, oldest first."""
        return [self._row(job_id) for job_id in reversed(list(self._found(JobsAsked())))]

    def _found(self, asked: JobsAsked) -> Iterator[JobId]:
        """Ids, newest first. A search asks ten thousand views: what depends on no view is found out before."""
        words = [_Word.of(word.removeprefix("0x")) for word in asked.q.lower().split()]
        for machine in reversed(self._node.engine.machines.values()):
            if machine.role == USER and machine.job_id not in self._node.engine.views:
                state = NOT_POSTED if machine.is_finished else "NONE"
                is_wanted = asked.state in ((None, "ended", "failed") if machine.is_finished else (None, "open"))
                hexadecimal = machine.job_id.hex()
                is_named = all(hexadecimal.startswith(word.text) or word.text in state.lower() for word in words)
                if is_wanted and is_named and asked.role in (None, "any", "user"):
                    yield machine.job_id
        for job_id, view in reversed(self._node.engine.views.items()):
            if asked.state is not None and not _is_in(view, asked.state):
                continue
            if asked.role is not None:
                roles = roles_of(view, self._node.account)
                if not roles or (asked.role != "any" and asked.role not in roles):
                    continue
            if words:
                known = self._words.get(job_id) or self._words_of(view)
                if not _has(words, known, view):
                    continue
            yield job_id

    def _row(self, job_id: JobId) -> JobRow:
        view = self._node.engine.views.get(job_id)
        if view is None:
            return self._unposted(self._machine(job_id)).row()
        return describe_row(
            view, account=self._node.account, problem=self._problem(job_id), posted_at=self._posted_at(job_id)
        )

    def _unposted(self, machine: Machine) -> Job:
        return describe_unposted(machine.job_id, is_given_up=machine.is_finished, problem=machine.problem)

    def _machine(self, job_id: JobId) -> Machine:
        machine = self._node.engine.machines.get((job_id, USER))
        if machine is None:
            raise Refusal(NOT_FOUND, f"This node knows no job {job_id.hex()}: list its jobs with `morphware jobs`.")
        return machine

    def _problem(self, job_id: JobId) -> str:
        return next(filter(None, (machine.problem for machine in self._node.engine.parts(job_id))), "")

    def _words_of(self, view: JobView) -> tuple[str, str]:
        if view.job_id not in self._words:
            self._words[view.job_id] = _words_of(view)
        return self._words[view.job_id]

    def _posted_at(self, job_id: JobId) -> int | None:
        if job_id not in self._posted:
            posted = self._node.engine.journal.first_moment(job_id)
            if posted is None:
                return None
            self._posted[job_id] = posted
        return self._posted[job_id]


def _is_in(view: JobView, wanted: str | None) -> bool:
    match wanted:
        case "open":
            return not view.is_over
        case "ended":
            return view.is_over
        case "paid":
            return view.outcome is Outcome.PAID
        case "failed":
            return view.is_over and view.outcome is not Outcome.PAID
        case _:
            return True


def _words_of(view: JobView) -> tuple[str, str]:
    """Id, and name and metric in small letters; a specification never changes."""
    return view.job_id.hex(), " ".join(read_names(view)).lower()


def _has(words: list[_Word], known: tuple[str, str], view: JobView) -> bool:
    """Whether every word is in name, metric or state, or begins the id."""
    job_id, names = known
    for word in words:
        if word.text in names or job_id.startswith(word.text):
            continue
        if view.outcome not in word.outcomes if view.is_over else view.state not in word.states:
            return False
    return True
