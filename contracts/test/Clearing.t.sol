// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice I12: winner, price and money follow from the set of bids, by a rule that a naive reference tells in a few
///         lines, and from nothing else: not from the order of the openings, nor from who brings them, nor from how they
///         are batched.
contract ClearingTest is Base {
    uint256 private constant MOST = 8;

    struct Draft {
        uint8 worker;
        uint8 price;
        uint8 flags;
    }

    function _bids(Draft[MOST] memory drafts, uint256 count) private view returns (Opening[] memory bids) {
        bids = new Opening[](count);
        for (uint256 i = 0; i < count; ++i) {
            // A seventh of them a decoy, a seventh too slow; prices collide, are zero, and pass the reserve.
            bids[i] = _opening(drafts[i].worker % WORKERS, drafts[i].price % 112, drafts[i].flags % 7 != 0);
            if (drafts[i].flags % 7 == 1) bids[i].estimatedSeconds = drafts[i].flags < 128 ? 0 : 61;
            bids[i].salt = keccak256(abi.encode("share", i)); // no two commitments alike
        }
    }

    /// @dev Brings the bids one by one, by an order and in batches of a size that the die says, with copies in between.
    function _openAll(Opening[] memory bids, uint256 die) private {
        Opening[] memory left = new Opening[](bids.length);
        for (uint256 i = 0; i < bids.length; ++i) left[i] = bids[i];
        uint256 count = left.length;
        while (count > 0) {
            uint256 size = 1 + (die & 3);
            die >>= 2;
            if (size > count) size = count;
            Opening[] memory batch = new Opening[](size + 1);
            for (uint256 i = 0; i < size; ++i) {
                uint256 next = (die & 7) % count;
                die >>= 3;
                batch[i] = left[next];
                left[next] = left[--count];
            }
            batch[size] = batch[0]; // once more: it is passed over
            vm.prank(accounts[(die & 7) % accounts.length]);
            market.revealBatch(jobId, batch);
            _checkConserved();
        }
    }

    /// @dev The rule, told naively. The order of `bids` is that of the commitments.
    function _reference(Opening[] memory bids) private pure returns (address winner, uint256 price) {
        uint256 first = bids.length;
        for (uint256 i = 0; i < bids.length; ++i) {
            if (_isEligible(bids[i]) && (first == bids.length || bids[i].price < bids[first].price)) first = i;
        }
        if (first == bids.length) return (address(0), 0);
        winner = bids[first].bidder;
        price = RESERVE;
        for (uint256 i = 0; i < bids.length; ++i) {
            if (i != first && _isEligible(bids[i]) && bids[i].price < price) price = bids[i].price;
        }
    }

    function _isEligible(Opening memory bid) private pure returns (bool) {
        return bid.isAuthentic && bid.price != 0 && bid.price <= RESERVE && bid.estimatedSeconds != 0
            && bid.estimatedSeconds <= 60;
    }

    function _bondsOf(Opening[] memory bids, address bidder) private pure returns (uint256 bonds) {
        for (uint256 i = 0; i < bids.length; ++i) {
            if (bids[i].bidder == bidder) ++bonds;
        }
    }

    function testFuzz_WinnerAndPriceFollowFromTheBidsAlone(Draft[MOST] memory drafts, uint8 size, uint256 die) public {
        Opening[] memory bids = _bids(drafts, 1 + (size % MOST));
        _toBidding();
        for (uint256 i = 0; i < bids.length; ++i) {
            _commit(bids[i]);
        }
        for (uint256 i = 0; i < WORKERS; ++i) {
            vm.assertEq(_net(workers[i]), -int256(50 * _bondsOf(bids, workers[i])), "a bond for each");
        }
        _poke();
        _openAll(bids, die);
        (address winner, uint256 price) = _reference(bids);
        Job memory job = market.job(jobId);
        vm.assertEq(uint256(job.state), uint256(winner == address(0) ? State.CLOSED : State.AWARDED));
        vm.assertEq(job.winner, winner);
        vm.assertEq(job.price, price);
        for (uint256 i = 0; i < WORKERS; ++i) {
            vm.assertEq(_net(workers[i]), workers[i] == winner ? int256(-50) : int256(0), "I10: all bonds but the best's");
        }
        vm.assertEq(market.burned(), 0);
    }

    /// @dev The winner is not only named: its own share, of all those that were committed to, opens the model.
    function testFuzz_TheWinnersOwnShareIsTheModels(Draft[MOST] memory drafts, uint8 size, uint256 die) public {
        Opening[] memory bids = _bids(drafts, 1 + (size % MOST));
        _toBidding();
        for (uint256 i = 0; i < bids.length; ++i) {
            bids[i].salt = keccak256(abi.encode(keccak256(abi.encode(i))));
            _commit(bids[i]);
        }
        _poke();
        _openAll(bids, die);
        if (_state() == State.CLOSED) return;
        _postKeys();
        address winner = market.job(jobId).winner;
        vm.prank(winner);
        market.ack(jobId);
        uint256 found;
        for (uint256 i = 0; i < bids.length; ++i) {
            uint256 before = vm.snapshotState();
            bytes memory call_ = abi.encodeCall(market.submitModel, (jobId, "m", "x", "y", keccak256(abi.encode(i)), ""));
            vm.prank(winner);
            (bool isTaken,) = address(market).call(call_);
            vm.revertToState(before);
            if (!isTaken) continue;
            ++found;
            vm.assertEq(bids[i].bidder, winner);
            vm.assertTrue(_isEligible(bids[i]), "an eligible bid");
            for (uint256 j = 0; j < bids.length; ++j) {
                if (!_isEligible(bids[j])) continue;
                vm.assertTrue(bids[i].price < bids[j].price || (bids[i].price == bids[j].price && i <= j), "the best");
            }
        }
        vm.assertEq(found, 1, "one share, and no other");
    }

    /// @dev Unopened bids compete for nothing, and burn: as if they had never been made, but for their bonds.
    function testFuzz_WhatStaysSealedChangesNothingButItsBond(Draft[MOST] memory drafts, uint8 size, uint8 sealed_)
        public
    {
        Opening[] memory bids = _bids(drafts, 1 + (size % MOST));
        _toBidding();
        uint256 opened;
        for (uint256 i = 0; i < bids.length; ++i) {
            _commit(bids[i]);
            if (sealed_ & (1 << i) == 0) ++opened;
        }
        _poke();
        Opening[] memory batch = new Opening[](opened);
        for (uint256 i = bids.length; i > 0; --i) {
            if (sealed_ & (1 << (i - 1)) == 0) batch[--opened] = bids[i - 1];
        }
        if (batch.length != 0) market.revealBatch(jobId, batch);
        if (batch.length != bids.length) _poke();
        (address winner, uint256 price) = _reference(batch);
        vm.assertEq(market.job(jobId).winner, winner);
        vm.assertEq(market.job(jobId).price, price);
        vm.assertEq(market.burned(), 50 * (bids.length - batch.length), "I11: each sealed bond, and nothing else");
        _checkConserved();
    }
}
