"""What a node says of a job is what the chain said, of each bid by itself."""

from morphware.node.describe import address_text, describe
from morphware.protocol import chain_events as ce
from morphware.protocol.states import State
from morphware.protocol.units import Wei
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import account_of


def test_a_copy_of_a_bid_is_not_shown_as_opened_with_the_bid_that_it_copies() -> None:
    place = Marketplace(1).run_to(State.REVEALING)
    owner, copier = account_of("worker 0"), account_of("copier")
    [bid] = [bid for bid in place.view.bids if bid.bidder == owner]
    place.view.apply(ce.BidCommitted(place.job_id, copier, bid.commitment, 9))
    place.view.apply(ce.BidOpened(place.job_id, owner, bid.commitment, Wei(30), True, 20))
    shown = {said["bidder"]: said for said in describe(place.view, account=owner, problem="", model=None)["bids"]}
    assert (shown[address_text(owner)]["is_opened"], shown[address_text(owner)]["price_wei"]) == (True, "30")
    assert (shown[address_text(copier)]["is_opened"], shown[address_text(copier)]["price_wei"]) == (False, None)
