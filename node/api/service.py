"""The API of a running node: its requests put together, and served behind both doors."""

import time

import structlog
import trio

from morphware.node.addresses import listening_address, remember_port, split_address
from morphware.node.api.account import AccountRequests
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.curves import CurveRequests
from morphware.node.api.drafts import DraftRequests
from morphware.node.api.estimates import EstimateRequests
from morphware.node.api.events import EventRequests
from morphware.node.api.guard import NetworkDoor, content_security_policy
from morphware.node.api.history import HistoryRequests
from morphware.node.api.http import serve_http
from morphware.node.api.jobs import JobRequests
from morphware.node.api.ledger import LedgerBook
from morphware.node.api.links import Keyring, read_token
from morphware.node.api.once import Named
from morphware.node.api.operator import OperatorRequests
from morphware.node.api.routes import Route
from morphware.node.api.running import Running
from morphware.node.api.server import Api, hosts_of, listen_on, origin_of, serve_socket
from morphware.node.api.submitting import SubmitRequests
from morphware.node.api.wallet import WalletRequests
from morphware.node.drafts.shelf import Shelf
from morphware.node.web.pages import load_pages
from morphware.node.wishing import MIB

log = structlog.get_logger()


def all_routes(node: Running, keyring: Keyring, origin: str | None) -> list[Route]:
    """Everything that can be asked of a node."""
    catalogue, submitting, ledger = Catalogue(node), SubmitRequests(node), LedgerBook(node)
    return [
        *AccountRequests(node, keyring, origin).routes(),
        *JobRequests(node, catalogue).routes(),
        *CurveRequests(catalogue, node.engine.journal, node.series).routes(),
        *HistoryRequests(node, catalogue).routes(),
        *WalletRequests(node, ledger, Named(node.engine.journal)).routes(),
        *OperatorRequests(node, ledger).routes(),
        *submitting.routes(),
        *DraftRequests(node, submitting, Shelf(node.folder / "drafts")).routes(),
        *EstimateRequests(node).routes(),
        *EventRequests(node.feed).routes(),
    ]


async def serve_api(node: Running, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve the API on the data folder's socket and, if the configuration says so, on a port; until cancelled.

    Raises:
        PagePortTaken: the port is somebody else's.
    """
    web, journal = node.config.web, node.engine.journal
    keyring = Keyring(read_token(node.folder), time.monotonic)
    listener = None
    if web.enabled:
        listener = await listen_on(listening_address(journal, "web", web.listen))
        remember_port(journal, "web", split_address(web.listen)[1] or listener.socket.getsockname()[1])
    origin = origin_of(listener) if listener else None
    pages = await trio.to_thread.run_sync(load_pages)
    application = Api(all_routes(node, keyring, origin), pages.routes()).application(web.upload_mib * MIB)
    async with trio.open_nursery() as nursery:
        if listener is not None:
            door = NetworkDoor(
                application,
                keyring,
                hosts_of(listener, web.hosts),
                f"morphware-{listener.socket.getsockname()[1]}",
                content_security_policy(pages.script_hashes),
            )
            await nursery.start(serve_http, door, listener)
            log.info("page_served", origin=origin, is_whole=pages.is_whole)
        await nursery.start(serve_socket, node.folder, application)
        task_status.started()
