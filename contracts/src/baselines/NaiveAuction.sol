// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Our auction as one would write it at the first try, all on chain: a yardstick, no product.
/// @notice `morphware bench gas` runs it beside the market. Nothing of Morphware uses it; do not put money into it.
///         The rules are the market's own (uniform bond, decoys, the cheapest authentic bid wins at the second price,
///         capped by the reserve, ties by order, unopened bonds burn), and so are the types of what it stores. What
///         differs is how: each bid and each opening is a transaction of its own, each bond is drawn from the bidder's
///         wallet, each bid is stored in full, and the award walks over all of them.
contract NaiveAuction {
    using SafeERC20 for IERC20;

    address private constant NOWHERE = address(0xdead);

    struct Bid {
        address bidder;
        uint96 bond; // wei
        bytes32 commitment;
        uint96 price; // wei
        uint32 estimatedSeconds;
        bool isAuthentic;
        bool isOpened;
        bytes32 salt;
    }

    struct Auction {
        address user;
        uint96 reserve; // wei
        uint40 biddingEnd; // seconds
        uint40 revealEnd; // seconds
        bool isAwarded;
        address winner;
        uint96 price; // wei
        Bid[] bids;
    }

    IERC20 private immutable _token;
    Auction[] private _auctions;

    event Posted(uint256 indexed id, address indexed user, uint96 reserve);
    event Committed(uint256 indexed id, address indexed bidder, bytes32 commitment, uint256 index);
    event Opened(
        uint256 indexed id, address indexed bidder, uint256 index, uint96 price, bool isAuthentic, uint32 estimatedSeconds
    );
    event Awarded(uint256 indexed id, address indexed winner, uint96 price);

    error TooEarly(uint256 time);
    error TooLate(uint256 time);
    error AlreadyAwarded(uint256 id);
    error AlreadyOpened(uint256 index);
    error WrongPreimage(bytes32 wanted, bytes32 actual);

    /// @param token The token of all amounts.
    constructor(IERC20 token) {
        _token = token;
    }

    /// @notice Asks for bids, and draws the reserve from the caller's wallet.
    function post(uint96 reserve, uint40 biddingSeconds, uint40 revealSeconds) external returns (uint256 id) {
        id = _auctions.length;
        Auction storage auction = _auctions.push();
        auction.user = msg.sender;
        auction.reserve = reserve;
        auction.biddingEnd = uint40(block.timestamp) + biddingSeconds;
        auction.revealEnd = uint40(block.timestamp) + biddingSeconds + revealSeconds;
        emit Posted(id, msg.sender, reserve);
        _token.safeTransferFrom(msg.sender, address(this), reserve);
    }

    /// @notice Bids, sealed, and draws the bond, half of the reserve, from the caller's wallet.
    function commit(uint256 id, bytes32 commitment) external returns (uint256 index) {
        Auction storage auction = _auctions[id];
        if (block.timestamp >= auction.biddingEnd) revert TooLate(auction.biddingEnd);
        uint96 bond = auction.reserve / 2;
        index = auction.bids.length;
        Bid storage bid = auction.bids.push();
        bid.bidder = msg.sender;
        bid.bond = bond;
        bid.commitment = commitment;
        emit Committed(id, msg.sender, commitment, index);
        _token.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @notice Opens one bid. Its bond comes back at the award.
    function reveal(uint256 id, uint256 index, uint96 price, bool isAuthentic, uint32 estimatedSeconds, bytes32 salt)
        external
    {
        Auction storage auction = _auctions[id];
        if (block.timestamp < auction.biddingEnd) revert TooEarly(auction.biddingEnd);
        if (block.timestamp >= auction.revealEnd) revert TooLate(auction.revealEnd);
        Bid storage bid = auction.bids[index];
        if (bid.isOpened) revert AlreadyOpened(index);
        bytes32 actual = keccak256(
            abi.encode(block.chainid, address(this), id, bid.bidder, price, isAuthentic, estimatedSeconds, salt)
        );
        if (actual != bid.commitment) revert WrongPreimage(bid.commitment, actual);
        bid.price = price;
        bid.estimatedSeconds = estimatedSeconds;
        bid.isAuthentic = isAuthentic;
        bid.isOpened = true;
        bid.salt = salt;
        emit Opened(id, bid.bidder, index, price, isAuthentic, estimatedSeconds);
    }

    /// @notice Finds the winner and the second price, and sends every other bond back; unopened ones burn.
    function award(uint256 id) external {
        Auction storage auction = _auctions[id];
        if (block.timestamp < auction.revealEnd) revert TooEarly(auction.revealEnd);
        if (auction.isAwarded) revert AlreadyAwarded(id);
        auction.isAwarded = true;
        uint256 count = auction.bids.length;
        uint96 best = auction.reserve;
        uint96 second = auction.reserve;
        uint256 winner = count; // nobody
        for (uint256 i = 0; i < count; ++i) {
            Bid storage bid = auction.bids[i];
            if (!bid.isOpened || !bid.isAuthentic || bid.price == 0 || bid.price > auction.reserve) continue;
            if (winner == count || bid.price < best) {
                if (winner != count) second = best;
                best = bid.price;
                winner = i;
            } else if (bid.price < second) {
                second = bid.price;
            }
        }
        for (uint256 i = 0; i < count; ++i) {
            Bid storage bid = auction.bids[i];
            if (i != winner) _token.safeTransfer(bid.isOpened ? bid.bidder : NOWHERE, bid.bond);
        }
        if (winner == count) {
            _token.safeTransfer(auction.user, auction.reserve);
            return;
        }
        auction.winner = auction.bids[winner].bidder;
        auction.price = second;
        emit Awarded(id, auction.winner, second);
    }

    /// @notice Who has won, and at what price in wei.
    function result(uint256 id) external view returns (address winner, uint96 price) {
        return (_auctions[id].winner, _auctions[id].price);
    }
}
