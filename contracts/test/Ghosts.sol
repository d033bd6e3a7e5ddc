// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Calls} from "./Calls.sol";

/// @notice What a random walk has done so far, told apart from what the market says; and the invariants of PROTOCOL.md
///         5.5 that hold the two against each other. A breach is remembered, and not reverted: forge drops what reverts.
abstract contract Ghosts is Calls {
    string public breach;
    mapping(uint256 state => uint256) public entered;
    mapping(uint256 outcome => uint256) public closed;
    /// @dev What else a walk should come by, by the numbers below.
    uint256[9] public feats;
    uint256 internal constant APPEALED_TWICE = 0;
    uint256 internal constant INSPECTED = 1;
    uint256 internal constant REDRAWN = 2;
    uint256 internal constant SWEPT = 3;
    uint256 internal constant RELAYED = 4;
    uint256 internal constant DISCLOSED = 5;
    uint256 internal constant OVERTURNED = 6;
    uint256 internal constant PAID_IN_PART = 7;
    uint256 internal constant AUDITED = 8;

    struct Bid {
        Opening opening;
        bool isOpened;
    }

    mapping(bytes32 jobId => Bid[]) internal _bids; // in the order of the commitments, copies left out
    mapping(bytes32 jobId => mapping(address worker => uint256)) internal _sealed; // bonds, copies included
    mapping(bytes32 jobId => bytes32) internal _seeds;
    mapping(bytes32 jobId => bytes32) private _awards; // winner and price, once there are any
    mapping(bytes32 jobId => bytes32) private _models;
    mapping(bytes32 jobId => bytes32) private _records; // of closed jobs
    mapping(bytes32 jobId => bool) private _audited;
    mapping(bytes32 jobId => uint256) private _sat; // seats of all its committees, while there are any
    uint256 internal _auditPool; // wei, after the last move
    mapping(address account => uint256) internal _marks; // a bit of its own for each of `accounts`
    mapping(address worker => uint256) internal _own; // free money and what open jobs hold of it

    function _breach(string memory what) internal {
        if (bytes(breach).length == 0) breach = what;
    }

    function _must(bool holds, string memory what) internal {
        if (!holds) _breach(what);
    }

    /// @dev After every move: what the job has become.
    function _note() internal {
        Job memory job = market.job(jobId);
        ++entered[uint256(job.state)];
        if (job.outcome != Outcome.NONE && job.state != State.CLOSED) ++feats[SWEPT];
        _must(job.state == State.CLOSED || job.deadline != 0, "I6: an open job has a deadline");
        if (job.state > State.REVEALING) _noteAward(job);
        if (job.drawBlock != 0 && job.outcome == Outcome.NONE) {
            if (_models[jobId] == 0) _models[jobId] = job.model;
            _must(_models[jobId] == job.model, "I14: the model's root changed");
            _noteCommittee();
            _sat[jobId] = 0;
            for (uint8 r = 0; r <= job.round; ++r) {
                _sat[jobId] += market.committee(jobId, r).length;
            }
        }
        _notePool(job);
        if (job.state == State.CLOSED && _records[jobId] == 0) _noteClosed(job);
    }

    /// @dev The audit pool pays for audits alone: three fees for the one that a job can have, before any appeal.
    function _notePool(Job memory job) private {
        uint256 pool = market.auditPool();
        if (pool < _auditPool) {
            Appeal[] memory made = market.appeals(jobId);
            _must(_auditPool - pool == 3 * job.fee && job.fee != 0, "the audit pool paid something else");
            _must(!_audited[jobId] && made.length == 1 && made[0].appellant == address(0), "an audit too many");
            _must(job.verdict == Verdict.PASS || job.verdict == Verdict.FAIL, "nothing to audit");
            _must(job.state == State.DRAWING && job.nextSeats == 3, "an audit is three seats");
            _audited[jobId] = true;
            ++feats[AUDITED];
        } else if (pool > _auditPool) {
            // Whoever was not heard leaves a verdict that stands: it pays at once, or is settled in batches.
            bool isResolved = job.state == State.CLAIMABLE || job.outcome != Outcome.NONE;
            _must(
                job.state == State.CLOSED || (isResolved && _isUnheard(job, pool - _auditPool)),
                "only what is closed, and what nobody heard, feeds the audit pool"
            );
        }
        _auditPool = pool;
    }

    /// @dev Of an appeal whose committee was never drawn a fee for each seat that sat meanwhile, at most the bond; of an
    ///      audit all.
    function _isUnheard(Job memory job, uint256 gain) private view returns (bool) {
        uint256 sat = _sat[jobId];
        if (sat > job.nextSeats) sat = job.nextSeats;
        bool isAudit = _audited[jobId] && job.nextSeats == 3 && market.appeals(jobId).length == 0;
        return gain == sat * job.fee || (isAudit && gain == 3 * job.fee);
    }

    /// @dev I8, I12: the naive rule over all opened bids. I11: the bonds of the others are gone.
    function _noteAward(Job memory job) private {
        bytes32 award = keccak256(abi.encode(job.winner, job.price));
        if (_awards[jobId] != 0) {
            _must(_awards[jobId] == award, "I14: winner or price changed");
            return;
        }
        _awards[jobId] = award;
        (address winner, uint256 price) = _reference(job);
        _must(job.winner == winner && job.price == price, "I8: winner and price are not the opened bids'");
        for (uint256 i = 0; i < WORKERS; ++i) {
            _own[workers[i]] -= _sealed[jobId][workers[i]] * (job.reserve / 2);
            _sealed[jobId][workers[i]] = 0;
        }
    }

    function _reference(Job memory job) private view returns (address winner, uint256 price) {
        Bid[] storage bids = _bids[jobId];
        uint256 best = type(uint256).max;
        price = job.reserve;
        for (uint256 i = 0; i < bids.length; ++i) {
            Opening memory bid = bids[i].opening;
            if (!bids[i].isOpened || !bid.isAuthentic || bid.price == 0 || bid.price > job.reserve) continue;
            if (bid.estimatedSeconds == 0 || bid.estimatedSeconds > job.trainingSeconds) continue;
            if (bid.price < best) {
                if (winner != address(0)) price = best;
                (best, winner) = (bid.price, bid.bidder);
            } else if (bid.price < price) {
                price = bid.price;
            }
        }
        if (winner == address(0)) price = 0;
    }

    /// @dev The winner's gain is whatever it is, within bounds: nobody else's balance moves with it.
    function _noteClosed(Job memory job) private {
        ++closed[uint256(job.outcome)];
        _records[jobId] = keccak256(abi.encode(job));
        _must(job.held == 0, "I5: a closed job holds money");
        if (job.outcome == Outcome.PAID) {
            _must(job.isClaimed, "I9: paid without y");
            _must(job.verdict == Verdict.PASS || job.verdict == Verdict.NO_TEST, "I8: paid without a verdict");
        }
        if (job.winner == address(0)) return;
        uint256 bond = job.reserve / 2;
        uint256 had = _own[job.winner] - bond; // with this job's bond lost
        uint256 has = market.freeBalance(job.winner) + _lockedOf(job.winner);
        _must(has >= had && has <= had + job.price + bond + bond / 2, "I8: more than price and bond, or less than nothing");
        if (job.outcome == Outcome.PAID) {
            _must(has <= had + job.price + bond, "I8: paid more than the price");
            if (has < had + job.price + bond) {
                _must(job.options & 2 != 0 && job.verdict == Verdict.PASS, "I8: paid less than the price");
                ++feats[PAID_IN_PART];
            }
        } else if (job.outcome != Outcome.INCONCLUSIVE) {
            _must(has <= had + bond + bond / 2, "I8: paid without PAID");
        }
        _own[job.winner] = has;
    }

    /// @dev Bonds of a worker's that open jobs hold: sealed bids', and the best bid's.
    function _lockedOf(address worker) private view returns (uint256 locked) {
        for (uint256 i = _firstOpen(); i < jobs.length; ++i) {
            Job memory job = market.job(jobs[i]);
            if (job.state == State.CLOSED) continue;
            uint256 bonds = _sealed[jobs[i]][worker];
            if (job.winner == worker) ++bonds;
            locked += bonds * (job.reserve / 2);
        }
    }

    /// @dev Only the last two jobs can be open: a third is not posted before.
    function _firstOpen() internal view returns (uint256) {
        return jobs.length < 2 ? 0 : jobs.length - 2;
    }

    // ---- what forge looks at after every call

    function checkAll() external view {
        if (bytes(breach).length != 0) _fail(breach);
        Job[] memory open = new Job[](jobs.length - _firstOpen());
        for (uint256 i = 0; i < open.length; ++i) {
            open[i] = market.job(jobs[_firstOpen() + i]);
        }
        _checkMoney(open);
        _checkSeats(open);
    }

    /// @dev I1, and I3 with it: balances are unsigned. I4: the record of a closed job stays what it was. I10: whoever lost
    ///      an auction has what it had.
    function _checkMoney(Job[] memory open) private view {
        uint256[] memory locked = new uint256[](WORKERS);
        int256 sum = int256(market.burned() + market.auditPool() + market.seatCount() * STAKE * unit);
        for (uint256 i = 0; i < open.length; ++i) {
            Job memory job = open[i];
            bytes32 id = jobs[_firstOpen() + i];
            sum += job.held;
            if (job.state == State.CLOSED) {
                if (job.held != 0) _fail("I5");
                if (_records[id] != keccak256(abi.encode(job))) _fail("I4");
                continue;
            }
            for (uint256 w = 0; w < WORKERS; ++w) {
                uint256 bonds = _sealed[id][workers[w]] + (job.winner == workers[w] ? 1 : 0);
                locked[w] += bonds * (job.reserve / 2);
            }
        }
        uint256 count = accounts.length;
        for (uint256 i = 0; i < count; ++i) {
            address account = accounts[i];
            uint256 free = market.freeBalance(account);
            sum += int256(free);
            // user, stranger, workers, validators: see Scene.setUp
            if (i < 2 || i >= 2 + WORKERS || free + locked[i - 2] == _own[account]) continue;
            vm.assertEq(free + locked[i - 2], _own[account], "I10: a worker's money");
        }
        uint256 total = market.total();
        vm.assertEq(sum, int256(total), "I1");
        vm.assertEq(total, token.balanceOf(address(market)), "I1: the token's balance");
    }

    /// @dev I19: whoever has been drawn sits, with its stake, until the job has an outcome. I20: once, and no party. The
    ///      counters are the seats.
    function _checkSeats(Job[] memory open) private view {
        bool[] memory areBusy = new bool[](market.nextSeat());
        uint256 busy;
        uint256 free;
        uint256 count;
        for (uint32 id = 0; id < areBusy.length; ++id) {
            Seat memory seat = market.seat(id);
            if (seat.owner == address(0)) continue;
            ++count;
            areBusy[id] = seat.isBusy;
            if (seat.isBusy) ++busy;
            else if (seat.freeAt == 0) ++free;
        }
        vm.assertEq(market.freeSeats(), free, "free seats");
        vm.assertEq(market.seatCount(), count, "seats");
        bool isSweeping;
        uint256 drawn;
        for (uint256 i = 0; i < open.length; ++i) {
            if (open[i].outcome == Outcome.NONE) drawn += _checkRounds(jobs[_firstOpen() + i], open[i], areBusy);
            else if (open[i].state != State.CLOSED) isSweeping = true;
        }
        if (isSweeping ? drawn > busy : drawn != busy) _fail("I19: busy seats are those of open jobs");
        if (market.busySeats() != busy) _fail("I19: the count of busy seats");
    }

    function _checkRounds(bytes32 id, Job memory job, bool[] memory areBusy) private view returns (uint256 drawn) {
        uint256 seen;
        for (uint8 r = 0; r <= job.round; ++r) {
            Member[] memory members = market.committee(id, r);
            for (uint256 m = 0; m < members.length; ++m) {
                address validator = members[m].validator;
                uint256 mark = _marks[validator];
                if (mark == 0 || !areBusy[members[m].seat]) _fail("I19");
                if (validator == job.user || validator == job.winner) _fail("I20: a party");
                if (seen & mark != 0) _fail("I20: twice");
                seen |= mark;
            }
            drawn += members.length;
        }
    }

    /// @dev A cheat code costs as much as thousands of steps of the machine: it is called for what is wrong, not for what
    ///      holds.
    function _fail(string memory what) private pure {
        vm.assertTrue(false, what);
    }

    /// @dev I4 for all of them, at the end of a walk.
    function checkRecords() external view {
        for (uint256 i = 0; i < jobs.length; ++i) {
            Job memory job = market.job(jobs[i]);
            if (job.state == State.CLOSED) vm.assertTrue(_records[jobs[i]] == keccak256(abi.encode(job)), "I4");
        }
    }
}
