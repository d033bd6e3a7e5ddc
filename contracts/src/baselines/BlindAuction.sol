// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The blind auction that most people learn from Solidity's documentation, turned round: a yardstick, no product.
/// @notice `morphware bench gas` runs it beside the market. Nothing of Morphware uses it; do not put money into it.
///         It has the documentation's shape: a seal with its own deposit, opened by its bidder alone, all of his seals
///         in one call; a refund sent at once; a list of returns for who was outbid, each fetched in a call of his own;
///         the winner gets what he asked for (first price). Deposits and prices are ether, in wei, as there.
/// @dev Where the pattern left a choice, it is the cheap one: one contract serves all auctions (there each is deployed
///      anew), and what fits one slot is in one slot. It keeps the pattern's faults too, and they are not measured: a
///      seal does not name its bidder, so that it can be copied; an unopened deposit is stuck for ever.
contract BlindAuction {
    struct SealedBid {
        bytes32 seal; // keccak256(abi.encodePacked(value, fake, secret))
        uint256 deposit; // wei
    }

    struct Auction {
        address buyer;
        uint40 biddingEnd; // seconds
        uint40 revealEnd; // seconds
        bool isEnded;
        address lowestBidder;
        uint96 lowestBid; // wei
        uint96 reserve; // wei: the most that the buyer pays, held until the end
        mapping(address bidder => SealedBid[]) bids;
        mapping(address bidder => uint256) returnable; // wei
    }

    Auction[] private _auctions;

    event Opened(uint256 indexed id, address indexed buyer, uint96 reserve);
    event Ended(uint256 indexed id, address winner, uint96 price);

    error TooEarly(uint256 time);
    error TooLate(uint256 time);
    error AlreadyEnded(uint256 id);
    error WrongLength(uint256 bids);
    error NotSent(address receiver);

    /// @notice Asks for bids below the reserve, which is the ether sent along.
    function open(uint40 biddingSeconds, uint40 revealSeconds) external payable returns (uint256 id) {
        id = _auctions.length;
        Auction storage auction = _auctions.push();
        auction.buyer = msg.sender;
        auction.biddingEnd = uint40(block.timestamp) + biddingSeconds;
        auction.revealEnd = uint40(block.timestamp) + biddingSeconds + revealSeconds;
        auction.reserve = uint96(msg.value);
        emit Opened(id, msg.sender, uint96(msg.value));
    }

    /// @notice Bids, sealed. The bid counts if the ether sent along is at least half of the reserve.
    function bid(uint256 id, bytes32 seal) external payable {
        Auction storage auction = _auctions[id];
        if (block.timestamp >= auction.biddingEnd) revert TooLate(auction.biddingEnd);
        auction.bids[msg.sender].push(SealedBid(seal, msg.value));
    }

    /// @notice Opens all the caller's seals, in their order, and sends back what need not stay.
    function reveal(uint256 id, uint96[] calldata values, bool[] calldata fakes, bytes32[] calldata secrets) external {
        Auction storage auction = _auctions[id];
        if (block.timestamp < auction.biddingEnd) revert TooEarly(auction.biddingEnd);
        if (block.timestamp >= auction.revealEnd) revert TooLate(auction.revealEnd);
        SealedBid[] storage bids = auction.bids[msg.sender];
        if (values.length != bids.length || fakes.length != bids.length || secrets.length != bids.length) {
            revert WrongLength(bids.length);
        }
        uint256 refund;
        for (uint256 i = 0; i < values.length; ++i) {
            refund += _unseal(auction, bids[i], values[i], fakes[i], secrets[i]);
        }
        _send(msg.sender, refund);
    }

    /// @notice Fetches what an outbid bidder has coming.
    function withdraw(uint256 id) external {
        Auction storage auction = _auctions[id];
        uint256 amount = auction.returnable[msg.sender];
        auction.returnable[msg.sender] = 0;
        _send(msg.sender, amount);
    }

    /// @notice Pays the winner his price and his bond, and the buyer the rest.
    function end(uint256 id) external {
        Auction storage auction = _auctions[id];
        if (block.timestamp < auction.revealEnd) revert TooEarly(auction.revealEnd);
        if (auction.isEnded) revert AlreadyEnded(id);
        auction.isEnded = true;
        uint256 price = auction.lowestBid; // 0 if there is no bid
        emit Ended(id, auction.lowestBidder, uint96(price));
        if (auction.lowestBidder != address(0)) _send(auction.lowestBidder, price + auction.reserve / 2);
        _send(auction.buyer, auction.reserve - price);
    }

    /// @notice Who leads, or has won, and at what price in wei.
    function leader(uint256 id) external view returns (address bidder, uint96 price) {
        return (_auctions[id].lowestBidder, _auctions[id].lowestBid);
    }

    /// @return refund What the bidder gets back at once: his deposit, less the bond if the bid leads now; wei.
    function _unseal(Auction storage auction, SealedBid storage sealedBid, uint96 value, bool fake, bytes32 secret)
        private
        returns (uint256 refund)
    {
        if (sealedBid.seal != keccak256(abi.encodePacked(value, fake, secret))) return 0;
        refund = sealedBid.deposit;
        uint256 bond = auction.reserve / 2;
        if (!fake && refund >= bond && _place(auction, msg.sender, value, bond)) refund -= bond;
        sealedBid.seal = 0; // so that nobody is sent the same deposit twice
    }

    /// @dev Whether the bid leads now. Whom it outbids gets his bond into his returns.
    function _place(Auction storage auction, address bidder, uint96 value, uint256 bond) private returns (bool) {
        if (value > auction.reserve) return false;
        address previous = auction.lowestBidder;
        if (previous != address(0)) {
            if (value >= auction.lowestBid) return false;
            auction.returnable[previous] += bond;
        }
        auction.lowestBidder = bidder;
        auction.lowestBid = value;
        return true;
    }

    function _send(address receiver, uint256 amount) private {
        if (amount == 0) return;
        (bool isSent,) = receiver.call{value: amount}("");
        if (!isSent) revert NotSent(receiver);
    }
}
