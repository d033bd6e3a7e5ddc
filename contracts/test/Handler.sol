// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ghosts} from "./Ghosts.sol";

/// @notice Everybody, honest and hostile, on two jobs at once: `proceed` does what is due, the others what is allowed, or
///         not. Committees of 1, 3 and 5 grow to 31 by appeals, so that settlements are swept, too.
contract Handler is Ghosts {
    uint256 private _nonce;

    constructor() {
        unit = 1e6; // so that bounties are not all zero
        auditOneIn = 2;
        setUp();
        for (uint256 i = 0; i < WORKERS; ++i) _own[workers[i]] = PURSE * unit;
        for (uint256 i = 0; i < accounts.length; ++i) _marks[accounts[i]] = 1 << i;
    }

    function _validatorCount() internal pure override returns (uint256) {
        return 30;
    }

    /// @dev One of the last two jobs that is open; a new one where none is.
    function _pick(uint256 die) private returns (bool) {
        uint256 back = 1 + die % 2;
        if (!_isOpen(back)) back = 3 - back;
        if (!_isOpen(back) && die % 16 != 0) {
            _postJob(die);
            return true;
        }
        if (jobs.length < 2) return false;
        jobId = jobs[jobs.length - back];
        userSeed = _seeds[jobId];
        return true;
    }

    function _isOpen(uint256 back) private view returns (bool) {
        return jobs.length >= back && market.job(jobs[jobs.length - back]).state != State.CLOSED;
    }

    // ---- the auction

    function postJob(uint256 die) external {
        if (!_isOpen(2)) _postJob(die);
    }

    function _postJob(uint256 die) private {
        // Slashed and leaving seats are replaced, or no job would find its committees after a while.
        for (uint256 i = 0; i < 8 && market.freeSeats() < 26; ++i) _stake(validators[(die + i) % validators.length], 4);
        userSeed = keccak256(abi.encode("seed", ++_nonce));
        seats = uint8(1 + 2 * (die % 3));
        options = uint8((die >> 8) % 4);
        baseline = options & 2 == 0 ? int64(0) : int64(800_000);
        reserve = seats == 1 ? 35 : seats == 3 ? 69 : 101;
        vm.prank(user);
        jobId = market.post(_terms(), "");
        jobs.push(jobId);
        _seeds[jobId] = userSeed;
        _note();
        for (uint256 i = 0; i < (die >> 16) % 4; ++i) {
            _bid((die >> 24) % WORKERS + i, uint8(die >> (32 + 8 * i)), uint8(die >> (64 + 8 * i)));
        }
    }

    function cancel(uint256 which) external {
        if (!_pick(which)) return;
        vm.prank(user);
        market.cancel(jobId);
        _note();
    }

    function bid(uint256 which, uint256 worker, uint8 price, uint8 flags) external {
        if (_pick(which)) _bid(worker % WORKERS, price, flags);
    }

    function _bid(uint256 worker, uint8 price, uint8 flags) private {
        Opening memory opening = _opening(worker % WORKERS, price % 50, flags % 5 != 0);
        opening.salt = keccak256(abi.encode(WORKER_SEED)); // everybody's share: who wins has one that this test knows
        if (flags % 7 == 0) opening.estimatedSeconds = 61;
        bytes32 commitment = _bidHash(opening);
        if (flags % 3 == 0) {
            SignedBid[] memory bids = new SignedBid[](2);
            bids[0] = _signedBid(opening.bidder, commitment);
            bids[1] = SignedBid(workers[(worker + 1) % WORKERS], commitment, bids[0].signature); // in another's name
            vm.prank(stranger);
            market.commitBatch(jobId, bids);
            ++feats[RELAYED];
        } else {
            vm.prank(opening.bidder);
            market.commit(jobId, commitment);
        }
        _bids[jobId].push(Bid(opening, false));
        ++_sealed[jobId][opening.bidder];
        _note();
    }

    /// @dev Somebody commits to what another has committed to: it will never be opened.
    function copy(uint256 which, uint256 worker, uint256 index) external {
        if (which % 8 != 0 || !_pick(which / 8) || _bids[jobId].length == 0) return;
        bytes32 commitment = _bidHash(_bids[jobId][index % _bids[jobId].length].opening);
        address copier = workers[worker % WORKERS];
        vm.prank(copier);
        market.commit(jobId, commitment);
        ++_sealed[jobId][copier];
        _note();
    }

    function open(uint256 which, uint256 index) external {
        if (!_pick(which) || _bids[jobId].length == 0) return;
        _open(index % _bids[jobId].length, 1);
    }

    function openAll(uint256 which) external {
        if (!_pick(which)) return;
        _open(0, _bids[jobId].length);
    }

    /// @dev Brings `count` openings from `from` on, with junk in front.
    function _open(uint256 from, uint256 count) private {
        Opening[] memory batch = new Opening[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            batch[i + 1] = _bids[jobId][from + i].opening;
        }
        vm.prank(stranger);
        market.revealBatch(jobId, batch);
        for (uint256 i = from; i < from + count; ++i) {
            if (_bids[jobId][i].isOpened) continue;
            _bids[jobId][i].isOpened = true;
            --_sealed[jobId][_bids[jobId][i].opening.bidder];
        }
        _note();
    }

    // ---- whoever's turn it is

    function proceed(uint256 which, uint256 choice) external {
        if (!_pick(which)) return;
        Job memory job = market.job(jobId);
        if (block.timestamp >= job.deadline || job.state == State.DRAWING) {
            _pokeInTime(job);
        } else if (choice % 16 == 5 && job.state >= State.KEYED && job.state <= State.VCOMMIT) {
            _dispute(job, choice / 16);
        } else if (job.state == State.BIDDING) {
            if (job.commitments != 0) _pokeInTime(job);
        } else if (job.state == State.REVEALING) {
            _open(0, _bids[jobId].length);
        } else if (job.state == State.TALLIED || job.state == State.INSPECT) {
            if (choice % 3 != 0) _appealBy(job.state == State.INSPECT ? user : stranger);
            else _pokeInTime(job);
        } else if (job.state == State.VCOMMIT) {
            _commitReports(choice);
        } else if (job.state == State.VREVEAL) {
            _revealReports(choice);
        } else {
            _hand(job, choice);
        }
        _note();
    }

    function _hand(Job memory job, uint256 choice) private {
        if (job.state == State.SEED) return _revealSeed();
        if (job.state == State.CLAIMABLE) return _claim();
        if (job.state == State.KEYING) return _handKeys(job, choice);
        if (job.state == State.KEY_DISPUTE || job.state == State.X_DISPUTE || job.state == State.DISCLOSE) {
            ++feats[DISCLOSED];
            if (job.state == State.KEY_DISPUTE) return _discloseKey();
            if (job.state == State.DISCLOSE) return job.isUserAccused ? _discloseTest() : _discloseModel();
        }
        ModelRoot memory m = _model();
        vm.prank(job.state == State.AWARDED ? user : job.winner);
        if (job.state == State.AWARDED) return market.postKeys(jobId, "");
        if (job.state == State.KEYED) return choice % 8 == 0 ? market.decline(jobId) : market.ack(jobId);
        if (job.state == State.X_DISPUTE) return market.discloseX(jobId, X, MODEL_HASH, m.yHash, WORKER_SEED);
        market.submitModel(jobId, m.modelHash, m.xHash, m.yHash, WORKER_SEED, "");
        vm.roll(block.number + 3 + (choice % 600));
    }

    function _handKeys(Job memory job, uint256 choice) private {
        bytes[] memory boxes = _boxes(_size());
        bool isWinners = job.isUserKeyed || (!job.isWorkerKeyed && choice % 2 == 0);
        vm.prank(isWinners ? job.winner : user);
        isWinners ? market.postModelKeys(jobId, boxes) : market.postTestKeys(jobId, boxes);
    }

    /// @dev What a validator finds: mostly what the others find; a committee may be captured, or all at a loss.
    function _find(uint256 index) private view returns (Report memory) {
        Job memory job = market.job(jobId);
        uint256 crowd = uint256(keccak256(abi.encode(jobId, job.round))) % 16;
        uint256 dice = uint256(keccak256(abi.encode(jobId, job.round, index))) % 16;
        int64 metric = crowd < 9 ? GOOD : crowd < 12 ? BAD : crowd == 12 ? int64(850_000) : crowd == 13 ? NO_MODEL : NO_TEST;
        if (crowd == 15 && dice % 2 == 0) metric = NO_MODEL;
        return _report(index, dice == 0 ? NO_TEST : dice == 1 ? GOOD / 2 : metric, PRINT);
    }

    function _commitReports(uint256 choice) private {
        uint256 size = _size();
        SignedReport[] memory batch = new SignedReport[](size);
        bool isRelayed = choice % 4 == 0;
        uint256 silent = choice % 16 == 1 ? 0 : 8; // out of so many one is silent; or all are
        for (uint256 i = 0; i < size; ++i) {
            if (silent == 0 || (choice >> i) % silent == 7) continue;
            Report memory report = _find(i);
            bytes32 commitment = _reportHash(report);
            if (isRelayed) {
                batch[i] = _signedReport(report.validator, commitment);
            } else {
                vm.prank(report.validator);
                try market.commitReport(jobId, commitment) {} catch {}
            }
        }
        if (isRelayed) market.commitReportBatch(jobId, batch);
        if (_state() == State.VCOMMIT && choice % 2 == 1) _pokeInTime(market.job(jobId));
    }

    function _revealReports(uint256 choice) private {
        uint256 size = _size();
        Report[] memory batch = new Report[](size);
        for (uint256 i = 0; i < size; ++i) {
            if ((choice >> i) % 16 != 7) batch[i] = _find(i);
        }
        Verdict before = market.job(jobId).verdict;
        market.revealReports(jobId, batch);
        Job memory job = market.job(jobId);
        if (job.round != 0 && job.state == State.TALLIED && job.verdict != before) ++feats[OVERTURNED];
        if (job.state == State.VREVEAL && choice % 2 == 1) _pokeInTime(job);
    }

    function _appealBy(address account) private {
        bool isInspected = _state() == State.INSPECT;
        vm.prank(account);
        if (isInspected) {
            market.inspectAppeal(jobId);
            ++feats[INSPECTED];
        } else {
            market.appeal(jobId);
        }
        Appeal[] memory made = market.appeals(jobId);
        if (made.length == (made[0].appellant == address(0) ? 3 : 2)) ++feats[APPEALED_TWICE];
    }

    // ---- time

    function _pokeInTime(Job memory job) private {
        if (block.timestamp < job.deadline) vm.warp(job.deadline);
        if (job.state == State.DRAWING && block.number <= job.drawBlock) vm.roll(job.drawBlock + 1);
        vm.prank(stranger);
        (bool isDone,) = address(market).call(abi.encodeCall(market.poke, (jobId)));
        _must(isDone || job.state == State.CLOSED, "I6, I7, I21: a due poke was refused");
        if (market.job(jobId).redraws > job.redraws) ++feats[REDRAWN];
    }

    function poke(uint256 which, bool isAwaited) external {
        if (!_pick(which)) return;
        Job memory job = market.job(jobId);
        if (isAwaited && which % 8 < 3) {
            _pokeInTime(job);
        } else if (job.state != State.CLOSED) {
            bool isDue = block.timestamp >= job.deadline
                && (job.state != State.DRAWING || job.outcome != Outcome.NONE || block.number > job.drawBlock);
            vm.prank(accounts[which % 2]); // the user, or the stranger
            (bool isDone,) = address(market).call(abi.encodeCall(market.poke, (jobId)));
            _must(isDone == isDue, "I7: a poke is valid iff it is due");
        }
        _note();
    }

    function wait(uint8 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 8);
    }

    // ---- disputes, and who has no business here

    function dispute(uint256 which, uint256 choice) external {
        if (!_pick(which)) return;
        _dispute(market.job(jobId), choice);
        _note();
    }

    function _dispute(Job memory job, uint256 choice) private {
        if (job.state == State.KEYED) {
            vm.prank(job.winner);
            market.complainKey(jobId);
        } else if (job.state == State.KEYING) {
            _complainX();
        } else if (job.state == State.VCOMMIT) {
            _complainKeys(choice % _size(), choice % 2 == 0);
        }
    }

    /// @dev I13: any call by anybody. What goes through was its caller's to make, in its state and time.
    function meddle(uint256 which, uint256 index, uint256 account) external {
        if (!_pick(which)) return;
        Job memory job = market.job(jobId);
        Call memory call_ = _calls()[4 + index % (CALLS - 4)]; // bids have moves of their own
        // Half of the callers are the parties. Workers do not appeal: their money is told to the wei by their bids.
        address caller = account % 2 == 0 ? accounts[(account / 2) % accounts.length] : account % 4 == 1 ? user : _winner();
        if (call_.state == State.TALLIED) caller = stranger;
        bytes32 before = keccak256(abi.encode(job));
        vm.prank(caller);
        (bool isDone,) = address(market).call(call_.data);
        if (!isDone) {
            _must(before == keccak256(abi.encode(market.job(jobId))), "I2");
            return;
        }
        if (job.state == State.DISCLOSE) ++restarts[jobId][job.round];
        bool isLaterKeys = job.state == State.VCOMMIT && call_.state == State.KEYING && job.round != 0;
        _must(call_.state == job.state || isLaterKeys, "I13: in another state");
        _must(block.timestamp < job.deadline, "I7: after the deadline");
        bool isTheirs = call_.isAnybodys || caller == call_.caller || (call_.state == State.VCOMMIT && _isDrawn(caller));
        _must(isTheirs, "I13: by somebody else");
        _note();
    }

    /// @dev What one member of a committee may do, each of them may.
    function _isDrawn(address account) private view returns (bool) {
        for (uint256 i = 0; i < _size(); ++i) {
            if (_member(i) == account) return true;
        }
        return false;
    }

    // ---- seats and money

    function moveSeat(uint256 validator, uint32 id, uint8 move) external {
        address account = move % 8 == 0 ? user : validators[validator % validators.length];
        uint32 number = uint32(id % market.nextSeat());
        if (move % 4 < 2) {
            if (market.seatCount() < 36) _stake(account, 1);
            return;
        }
        account = market.seat(number).owner;
        if (account == address(0)) return;
        bool isLeaving = market.seat(number).freeAt != 0;
        if (isLeaving && move % 4 == 2) vm.warp(market.seat(number).freeAt);
        vm.prank(account);
        isLeaving ? market.unstake(number) : market.requestUnstake(number);
    }

    /// @dev Now and then somebody pays for audits; the pool has its own account of it.
    function fundAudits(uint256 amount) external {
        amount = amount % (20 * FEE * unit);
        vm.prank(stranger);
        market.fundAudits(uint96(amount));
        _auditPool += amount;
        _must(market.auditPool() == _auditPool, "a gift to the audit pool");
    }

    function withdrawAndReturn(uint256 account, uint96 amount) external {
        address who = accounts[account % accounts.length];
        amount = uint96(amount % (market.freeBalance(who) + 1));
        vm.prank(who);
        market.withdraw(amount);
        vm.prank(who);
        token.approve(address(market), amount);
        vm.prank(who);
        market.deposit(amount);
    }

    /// @dev I6: from wherever the walk has come to, pokes alone close every job; then every seat is let go.
    function finish() external {
        for (uint256 i = _firstOpen(); i < jobs.length; ++i) {
            jobId = jobs[i];
            for (uint256 pokes = 0; _state() != State.CLOSED; ++pokes) {
                vm.assertTrue(pokes < 16, "I6: too many pokes");
                _pokeInTime(market.job(jobId));
                _note();
            }
        }
        for (uint32 id = 0; id < market.nextSeat(); ++id) {
            vm.assertTrue(!market.seat(id).isBusy, "I19: let go of at the end");
        }
    }

    function _checkConserved() internal view override {}
}
