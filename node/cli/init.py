"""``morphware init``: from nothing to a node that can be started. Asks a person; a script gives flags."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from morphware.node.cli.fence import fenced
from morphware.node.cli.flags import AsJson, DataFolder, PasswordFile, RoleName
from morphware.node.cli.program import program
from morphware.node.errors import BadInput, ExitStatus


@fenced
def init(
    role: Annotated[
        list[RoleName] | None, typer.Option(help="What the node does; may be given several times (default: user).")
    ] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="The market's deployment file, as `morphware deploy` writes it.")
    ] = None,
    rpc_url: Annotated[
        str | None, typer.Option(help="JSON-RPC address of a node of the chain (default: http://127.0.0.1:8545).")
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address or host name that others reach this machine at; without it only programs on this machine do.",
        ),
    ] = None,
    gossip_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="With an address: the port for announcements.")
    ] = 4101,
    artifacts_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="With an address: the port for data sets and models.")
    ] = 4102,
    price_per_hour: Annotated[
        str | None, typer.Option(metavar="TOKENS", help="Worker: what an hour of training costs (default: 10).")
    ] = None,
    memory_gib: Annotated[
        float | None, typer.Option(help="Worker: GiB of memory for one job (default: half of this machine's).")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Worker: processor threads for one job; 0 for all (default: all but one).")
    ] = None,
    seats: Annotated[int | None, typer.Option(help="Validator: seats to hold, each with a stake (default: 1).")] = None,
    password_file: PasswordFile = None,
    data_folder: DataFolder = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: flags and defaults say all (as without a terminal).")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Begin a node: choose what it does, make its keys, and write its configuration. Existing keys are kept."""
    from morphware.node.cli.answers import Given, gather, password_for_new_keys
    from morphware.node.cli.founding import account_of, found
    from morphware.node.cli.questions import Terminal, has_terminal
    from morphware.node.config_loading import CONFIG_NAME, chosen_data_folder

    folder = chosen_data_folder(flags={"node.data_folder": data_folder})
    config = folder / CONFIG_NAME
    if config.is_symlink() or config.exists():
        raise BadInput(f"{config} is there already: edit it, remove it first, or name another --data-folder.")
    kept = account_of(folder)
    given = Given(
        roles=tuple(dict.fromkeys(each.value for each in role)) if role else None,
        deployment=deployment,
        rpc_url=rpc_url,
        advertise=advertise,
        gossip_port=gossip_port,
        artifacts_port=artifacts_port,
        price_per_hour=price_per_hour,
        memory_gib=memory_gib,
        threads=threads,
        seats=seats,
        password_file=password_file,
    )
    try:
        terminal = Terminal() if has_terminal() and not yes and not as_json else None
        if terminal is not None:
            sys.stdout.write(f"A new node in {folder}. Ctrl-C leaves everything as it is.\n")
        settings = gather(given, terminal)
        password = None if kept is not None else password_for_new_keys(given, terminal)
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\nStopped: nothing was written.\n")
        return ExitStatus.INTERRUPTED
    account = found(folder, {"node.data_folder": "."} | settings, password)
    _print(folder, config, account, settings, is_new=kept is None, as_json=as_json, is_usual=data_folder is None)
    return ExitStatus.SUCCESS


def _print(
    folder: Path, config: Path, account: bytes, settings: dict[str, Any], *, is_new: bool, as_json: bool, is_usual: bool
) -> None:
    """What exists now, and what to do next."""
    import json
    import shlex

    where = "" if is_usual else f" --data-folder {shlex.quote(str(folder))}"
    if os.environ.get("MORPHWARE_CONFIG"):  # which would go before the one that has just been written
        where += f" --config {shlex.quote(str(config))}"
    steps = [f"{program()} doctor{where}", f"{program()} run{where}"]
    if as_json:
        said = {
            "account": f"0x{account.hex()}",
            "keys": "made" if is_new else "kept",
            "config": str(config),
            "data_folder": str(folder),
            "roles": settings["node.roles"],
            "next": steps,
        }
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
        return
    made = "Made keys (back them up)" if is_new else "Kept the keys"
    wants = {"user": "prices", "worker": "bonds", "validator": "stakes"}
    purpose = " and ".join(wants[role] for role in settings["node.roles"])
    sys.stdout.write(
        f"{made} in {folder / 'keys'}, and wrote {config}.\n"
        f"Next, send coins for gas and tokens for {purpose} to 0x{account.hex()}.\n"
        f"Then see whether all is well with `{steps[0]}`, and start with `{steps[1]}`.\n"
    )
