"""The settings that an owner may change while the node runs, what is in force, and where each value comes from.

The newest word counts.  A change holds over restarts until it is taken back, or until the configuration itself says
something else than it did when the change was made: who edits the file after that means the file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec
import structlog

from morphware.node.config import Config, IdleSection, OnBusy, WorkerSection
from morphware.node.config_loading import changed_setting, require_known
from morphware.node.config_text import description_of, plain_setting
from morphware.node.errors import BadInput
from morphware.node.idleness import Rules, parse_hours

log = structlog.get_logger()

SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {"worker": WorkerSection, "idle": IdleSection}
NAMES: Final = tuple(f"{section}.{name}" for section, struct in SECTIONS.items() for name in struct.__struct_fields__)
"""All that can be changed; everything else needs a restart."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value that was given at run time, when, and what the configuration said then."""

    value: Any
    changed_s: float
    configured: Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is shown: ``changed_s`` is None where the configuration's value is in force."""

    name: str
    value: Any
    changed_s: float | None
    description: str

    @property
    def text(self) -> str:
        """The value as a person types it, which ``Policy.changed`` takes back."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return ", ".join(self.value) if isinstance(self.value, list) else f"{self.value:{_FORMAT[type(self.value)]}}"

    @property
    def choices(self) -> tuple[str, ...]:
        """All that it can be, where that is a few words."""
        if isinstance(self.value, bool):
            return ("true", "false")
        return get_args(OnBusy) if self.name == "idle.on_busy" else ()

    @property
    def unit(self) -> str:
        """What a number counts, if that is not plain."""
        return next((unit for suffix, unit in UNITS.items() if self.name.endswith(suffix)), "")

    @property
    def origin(self) -> str:
        """Where the value comes from, as in "from the configuration"."""
        return "the configuration" if self.changed_s is None else "a change that was made here"


UNITS: Final = {"_s": "s", "_gib": "GiB", "_percent": "%", "price_per_hour": "tokens", "minimum_price": "tokens"}
_FORMAT: Final = {str: "", int: "", float: ".12g"}


@dataclass(slots=True)
class Policy:
    """The configuration, and the changes on top of it."""

    config: Config
    changes: dict[str, Change] = field(default_factory=dict)

    @property
    def worker(self) -> WorkerSection:
        """What is in force."""
        return WorkerSection(**self._values("worker"))

    @property
    def idle(self) -> IdleSection:
        """What is in force."""
        return IdleSection(**self._values("idle"))

    @property
    def rules(self) -> Rules:
        """When the machine is free, in the form that decides."""
        idle = self.idle
        return Rules(
            work_hours=parse_hours(idle.work_hours),
            programs=tuple(name.lower() for name in idle.programs),
            other_load_percent=idle.other_load_percent,
            gpu_load_percent=idle.gpu_load_percent,
            busy_after_s=idle.busy_after_s,
            quiet_s=idle.quiet_s,
        )

    def settings(self) -> tuple[Setting, ...]:
        """Every setting, in the order of the configuration."""
        return tuple(self._setting(name) for name in NAMES)

    def changed(self, wishes: Mapping[str, object], now_s: float) -> "Policy":
        """The policy with these values; None goes back to the configuration's.

        Raises:
            BadInput: a name is unknown, or a value is out of its bounds.
        """
        if not wishes:
            raise BadInput("No change was named: name settings with their new values.")
        for name in wishes:
            require_known(name[:100], NAMES, f"{name[:100]} cannot be changed while the node runs")
        changes = dict(self.changes)
        for name, value in wishes.items():
            if value is None:
                changes.pop(name, None)
                continue
            changes[name] = Change(plain_setting(changed_setting(name, value)), now_s, self._configured(name))
        return Policy(self.config, changes)

    def to_json(self) -> str:
        """What the journal keeps."""
        return json.dumps(
            {
                name: {"value": change.value, "changed_s": change.changed_s, "configured": change.configured}
                for name, change in self.changes.items()
            }
        )

    @classmethod
    def from_json(cls, config: Config, text: str | None) -> "Policy":
        """The changes that the journal kept, without those that the configuration has overtaken since."""
        policy = cls(config)
        for name, kept in json.loads(text or "{}").items():
            try:
                value = plain_setting(changed_setting(name, kept["value"])) if name in NAMES else None
            except BadInput:
                value = None
            if value is None:
                log.warning("change_dropped", setting=name, reason="this version does not know it, or its value")
            elif kept["configured"] != policy._configured(name):
                log.info("change_dropped", setting=name, reason="the configuration has changed since")
            else:
                policy.changes[name] = Change(value, kept["changed_s"], kept["configured"])
        return policy

    def _values(self, section: str) -> dict[str, Any]:
        names = SECTIONS[section].__struct_fields__
        values = {name: self._setting(f"{section}.{name}").value for name in names}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}

    def _setting(self, name: str) -> Setting:
        change = self.changes.get(name)
        section, _, of = name.partition(".")
        description = description_of(SECTIONS[section], of)
        if change is None:
            return Setting(name, self._configured(name), None, description)
        return Setting(name, change.value, change.changed_s, description)

    def _configured(self, name: str) -> Any:
        section, _, of = name.partition(".")
        return plain_setting(getattr(getattr(self.config, section), of))
