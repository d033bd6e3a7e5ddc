// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Proof} from "./Proof.sol";

/// @notice The clearing rule: of any three bids, opened in any order, at once or one by one, the lowest eligible one wins
///         (of equals the earlier), at the lowest price of the other eligible ones, or the reserve without any. Who does
///         not win has its bond back, and no wei appears or disappears.
/// @dev Two steps keep it short: a bid that is not eligible, for whatever reason, does what a decoy does; and any three
///      bids, each eligible or a decoy, are cleared by the plain rule.
abstract contract Clearing is Proof {
    struct Bids {
        uint96[3] prices;
        bool[3] areAuthentic;
        uint96 reserve;
    }

    function check_three_bids_opened_at_once_in_order_012(Bids calldata bids) external {
        _proveBatch(bids, [0, 1, 2]);
    }

    function check_three_bids_opened_at_once_in_order_021(Bids calldata bids) external {
        _proveBatch(bids, [0, 2, 1]);
    }

    function check_three_bids_opened_at_once_in_order_102(Bids calldata bids) external {
        _proveBatch(bids, [1, 0, 2]);
    }

    function check_three_bids_opened_at_once_in_order_120(Bids calldata bids) external {
        _proveBatch(bids, [1, 2, 0]);
    }

    function check_three_bids_opened_at_once_in_order_201(Bids calldata bids) external {
        _proveBatch(bids, [2, 0, 1]);
    }

    function check_three_bids_opened_at_once_in_order_210(Bids calldata bids) external {
        _proveBatch(bids, [2, 1, 0]);
    }

    function check_three_bids_opened_one_by_one_in_order_012(Bids calldata bids) external {
        _proveOneByOne(bids, [0, 1, 2]);
    }

    function check_three_bids_opened_one_by_one_in_order_021(Bids calldata bids) external {
        _proveOneByOne(bids, [0, 2, 1]);
    }

    function check_three_bids_opened_one_by_one_in_order_102(Bids calldata bids) external {
        _proveOneByOne(bids, [1, 0, 2]);
    }

    function check_three_bids_opened_one_by_one_in_order_120(Bids calldata bids) external {
        _proveOneByOne(bids, [1, 2, 0]);
    }

    function check_three_bids_opened_one_by_one_in_order_201(Bids calldata bids) external {
        _proveOneByOne(bids, [2, 0, 1]);
    }

    function check_three_bids_opened_one_by_one_in_order_210(Bids calldata bids) external {
        _proveOneByOne(bids, [2, 1, 0]);
    }

    function _proveBatch(Bids calldata bids, uint8[3] memory order) private {
        _prove(bids, order, 3);
    }

    function _proveOneByOne(Bids calldata bids, uint8[3] memory order) private {
        _prove(bids, order, 1);
    }

    function _prove(Bids calldata bids, uint8[3] memory order, uint256 batch) private {
        _start(bids.reserve, 60);
        Opening[] memory openings = new Opening[](3);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assume(bids.prices[i] != 0 && bids.prices[i] <= bids.reserve);
            _sealBid(_bidder(i), i);
            uint256 which = order[i];
            openings[i] = Opening(_bidder(which), bids.prices[which], bids.areAuthentic[which], 60, bytes32("salt"));
        }
        this.open(openings, batch);
        _check(bids);
    }

    /// @notice What `revealBatch` does with batches of this size, but the commitments are given: the preimages are symbols
    ///         here, and no solver sees through their hashes. That only the committed bid opens is another test's business.
    function open(Opening[] calldata openings, uint256 batch) external {
        Record storage record = _records[JOB];
        for (uint256 i = 0; i < openings.length; i += batch) {
            Contest memory contest = _contest(record);
            for (uint256 j = i; j < i + batch; ++j) {
                assert(_open(JOB, contest, openings[j], _commitment(openings[j].bidder)));
            }
            if (contest.winner != address(0)) {
                _storeStanding(record, contest);
                record.price = contest.second;
            }
        }
        _award(JOB, record, 0);
    }

    function _commitment(address bidder) private pure returns (bytes32) {
        return bytes32(uint256(uint160(bidder)));
    }

    /// @notice Whatever a bid's price and time: it wins iff it is authentic, above zero, at most the reserve, and within
    ///         the job's time; else its bond is free.
    function check_a_bid_wins_alone_iff_it_is_eligible(
        uint96 price,
        bool isAuthentic,
        uint32 duration,
        uint96 reserve,
        uint32 mostSeconds
    ) external {
        Opening[] memory openings = new Opening[](1);
        openings[0] = Opening(_bidder(0), price, isAuthentic, duration, bytes32("salt"));
        _start(reserve, mostSeconds);
        _sealBid(_bidder(0), 0);
        this.open(openings, 1);
        bool isEligible = isAuthentic && price != 0 && price <= reserve && duration != 0 && duration <= mostSeconds;
        assert((_records[JOB].winner == _bidder(0)) == isEligible);
        assert(_free[_bidder(0)] == (isEligible ? 0 : reserve / 2));
        assert((_records[JOB].state == State.AWARDED) == isEligible);
        assert(!isEligible || _records[JOB].price == reserve);
    }

    /// @dev A job whose bids are opened.
    function _start(uint96 reserve, uint32 mostSeconds) private {
        vm.warp(NOW);
        Record storage record = _records[JOB];
        record.user = USER;
        record.state = State.REVEALING;
        record.deadline = uint40(NOW + 1);
        record.reserve = reserve;
        record.trainingSeconds = mostSeconds;
    }

    function _sealBid(address bidder, uint256 sequence) private {
        _bids[_bidKey(JOB, bidder, _commitment(bidder))] = sequence + 1;
    }

    /// @dev The plain rule, said without the algorithm: nobody eligible beats the winner, and the price is the least of
    ///      what the others ask, and of the reserve.
    function _check(Bids calldata bids) private view {
        Record storage record = _records[JOB];
        uint256 bond = bids.reserve / 2;
        uint256 winner = 3; // nobody
        uint256 second = bids.reserve;
        for (uint256 i = 0; i < 3; ++i) {
            if (record.winner == _bidder(i)) winner = i;
        }
        for (uint256 i = 0; i < 3; ++i) {
            assert(_free[_bidder(i)] == (i == winner ? 0 : bond));
            if (i == winner) assert(bids.areAuthentic[i]);
            if (i == winner || !bids.areAuthentic[i]) continue;
            assert(winner != 3);
            uint256 price = bids.prices[i];
            assert(i < winner ? bids.prices[winner] < price : bids.prices[winner] <= price);
            if (price < second) second = price;
        }
        if (winner == 3) {
            assert(record.state == State.CLOSED && record.outcome == Outcome.NO_BIDS);
            assert(_free[USER] == uint256(bids.reserve) + bond);
        } else {
            assert(record.state == State.AWARDED && record.price == second);
            assert(_free[USER] == 0);
        }
        assert(_burned == 0 && record.burned == 0);
    }

    function _bidder(uint256 i) private pure returns (address) {
        return address(uint160(0x2000 + i));
    }
}
