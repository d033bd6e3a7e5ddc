// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base} from "./Base.sol";
import {Cheats} from "./Cheats.sol";

/// @notice Anybody does anything at any time, on two jobs at once: mostly what the table allows, sometimes not.
///         The invariants are checked from outside after every call: a failed check in here would only be one more
///         refused call.
contract Handler is Base {
    uint256[9] public closed; // by outcome
    uint32 private _seatIds = uint32(VALIDATORS); // given out so far
    uint256 private _nonce;
    mapping(bytes32 jobId => IMarket.Opening[]) private _openings;
    mapping(bytes32 jobId => bytes32) private _seeds;
    mapping(bytes32 jobId => bytes32) private _records; // of closed jobs

    constructor() {
        setUp();
    }

    function _pick(uint256 seed) private returns (bool) {
        if (jobs.length == 0) return false;
        jobId = jobs[jobs.length - 1 - (jobs.length == 1 ? 0 : seed % 2)];
        return true;
    }

    function postJob(uint8 seats) external {
        if (jobs.length > 1 && market.job(jobs[jobs.length - 2]).state != IMarket.State.CLOSED) return;
        IMarket.Terms memory terms = _terms();
        terms.seats = uint8(3 + 2 * (seats % 2));
        terms.reserve = terms.seats == 3 ? 69 : 101;
        terms.seedHash = keccak256(abi.encodePacked(keccak256(abi.encode(++_nonce))));
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _seeds[jobId] = keccak256(abi.encode(_nonce));
    }

    function bid(uint256 which, uint256 worker, uint8 price, bool isAuthentic) external {
        if (!_pick(which)) return;
        IMarket.Opening memory opening = _opening(worker % 5, price % 110, isAuthentic);
        _openings[jobId].push(opening);
        vm.prank(opening.bidder);
        try market.commit(jobId, _bidHash(opening)) {}
        catch {
            _openings[jobId].pop();
        }
    }

    /// @dev Somebody else commits to what was committed to already; rarely, as no copy is ever opened.
    function copy(uint256 which, uint256 worker, uint256 index) external {
        if (which % 4 != 0 || !_pick(which / 4) || _openings[jobId].length == 0) return;
        bytes32 commitment = _bidHash(_openings[jobId][index % _openings[jobId].length]);
        vm.prank(workers[worker % 5]);
        market.commit(jobId, commitment);
    }

    function open(uint256 which, uint256 index) external {
        if (!_pick(which) || _openings[jobId].length == 0) return;
        market.revealBatch(jobId, _one(_openings[jobId][index % _openings[jobId].length]));
    }

    function openAll(uint256 which) external {
        if (!_pick(which)) return;
        market.revealBatch(jobId, _openings[jobId]);
    }

    /// @dev The party whose turn it is does what it should, with a choice where there is one.
    function proceed(uint256 which, uint256 choice) external {
        if (!_pick(which)) return;
        Jobs.Job memory job = market.job(jobId);
        uint256 size = market.committee(jobId).length;
        if (job.state == IMarket.State.BIDDING && job.commitments == 0) {
            return;
        } else if (job.state == IMarket.State.BIDDING || job.state == IMarket.State.TALLIED) {
            if (block.timestamp < job.deadline) vm.warp(job.deadline);
            market.poke(jobId);
        } else if (job.state == IMarket.State.REVEALING) {
            market.revealBatch(jobId, _openings[jobId]);
        } else if (job.state == IMarket.State.AWARDED) {
            vm.prank(user);
            market.postKeys(jobId, "");
        } else if (job.state == IMarket.State.KEYED) {
            vm.prank(job.winner);
            choice % 8 == 0 ? market.decline(jobId) : market.ack(jobId);
        } else if (job.state == IMarket.State.TRAINING) {
            vm.prank(job.winner);
            market.submitModel(jobId, "m", "x", keccak256(abi.encodePacked(Y)), WORKER_SEED, "");
            vm.roll(block.number + 3 + (choice % 600));
        } else if (job.state == IMarket.State.SEED) {
            vm.prank(user);
            market.revealSeed(jobId, _seeds[jobId]);
        } else if (job.state == IMarket.State.KEYING) {
            if (choice % 4 != 0 && !job.isUserKeyed) {
                vm.prank(user);
                market.postTestKeys(jobId, _boxes(size));
            } else {
                vm.prank(job.winner);
                market.postModelKeys(jobId, _boxes(size));
            }
        } else if (job.state == IMarket.State.VCOMMIT) {
            for (uint256 i = 0; i < size; ++i) {
                if ((choice >> i) % 3 == 0) continue;
                IMarket.Report memory report = _choose(i);
                vm.prank(report.validator);
                try market.commitReport(jobId, _reportHash(report)) {} catch {}
            }
        } else if (job.state == IMarket.State.VREVEAL) {
            for (uint256 i = 0; i < size; ++i) {
                if ((choice >> i) % 4 == 0) continue;
                IMarket.Report[] memory batch = new IMarket.Report[](1);
                batch[0] = _choose(i);
                try market.revealReports(jobId, batch) {} catch {}
            }
        } else if (job.state == IMarket.State.CLAIMABLE) {
            market.claim(jobId, Y);
        }
        _note();
    }

    /// @dev What a validator finds: a number that depends on the job, mostly near to what the others find.
    function _choose(uint256 index) private view returns (IMarket.Report memory report) {
        uint256 dice = uint256(keccak256(abi.encode(jobId, index))) % 16;
        int64 metric = uint256(jobId) % 2 == 0 ? BAD : GOOD;
        if (uint256(jobId) % 7 == 1) metric = dice % 2 == 0 ? NO_MODEL : NO_TEST;
        report = _report(index, dice == 0 ? NO_TEST : dice == 1 ? metric / 2 : metric, PRINT);
    }

    function poke(uint256 which, bool isOnTime) external {
        if (!_pick(which)) return;
        if (isOnTime && which % 8 < 3) vm.warp(market.job(jobId).deadline > block.timestamp ? market.job(jobId).deadline : block.timestamp);
        market.poke(jobId);
        _note();
    }

    function cancel(uint256 which) external {
        if (which % 8 != 0 || !_pick(which / 8)) return;
        vm.prank(user);
        market.cancel(jobId);
        _note();
    }

    function wait(uint8 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 8);
    }

    function moveSeat(uint256 validator, uint32 id, uint8 move) external {
        address account = validators[validator % VALIDATORS];
        if (move % 4 < 2) {
            if (market.seatCount() > 16) return;
            vm.prank(account);
            market.stake(1);
            ++_seatIds;
        } else {
            account = market.seat(id % _seatIds).owner;
            if (account == address(0)) return;
            vm.prank(account);
            move % 4 == 2 ? market.requestUnstake(id % _seatIds) : market.unstake(id % _seatIds);
        }
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

    function _note() private {
        Jobs.Job memory job = market.job(jobId);
        if (job.state != IMarket.State.CLOSED) return;
        bytes32 now_ = keccak256(abi.encode(job));
        if (_records[jobId] == 0) {
            _records[jobId] = now_;
            ++closed[uint256(job.outcome)];
        }
    }

    // ---- what the invariants look at

    function _checkConserved() internal view override {}

    function checkConserved() external view {
        super._checkConserved();
    }

    function checkJobs() external view {
        for (uint256 i = 0; i < jobs.length; ++i) {
            Jobs.Job memory job = market.job(jobs[i]);
            bytes32 wanted = _records[jobs[i]];
            if (job.state != IMarket.State.CLOSED) {
                vm.assertTrue(job.deadline != 0, "I6: an open job has a deadline");
                continue;
            }
            vm.assertEq(job.held, 0, "I5");
            vm.assertTrue(wanted == 0 || wanted == keccak256(abi.encode(job)), "I4");
            if (job.outcome == IMarket.Outcome.PAID) {
                vm.assertTrue(job.best <= job.price && job.price <= job.reserve && job.price != 0, "I8");
                vm.assertTrue(job.verdict == IMarket.Verdict.PASS || job.verdict == IMarket.Verdict.NO_TEST, "I15");
            }
        }
    }

    function checkSeats() external view {
        uint32[] memory free = market.freeList();
        uint256 busy;
        uint256 leaving;
        for (uint32 id = 0; id < _seatIds; ++id) {
            if (market.seat(id).owner == address(0)) continue;
            if (market.seat(id).isBusy) ++busy;
            else if (market.seat(id).freeAt != 0) ++leaving;
        }
        vm.assertEq(free.length + busy + leaving, market.seatCount(), "a seat is free, busy or leaving");
        uint256 drawn;
        for (uint256 i = 0; i < jobs.length; ++i) {
            if (market.job(jobs[i]).state == IMarket.State.CLOSED) continue;
            Jobs.Member[] memory members = market.committee(jobs[i]);
            drawn += members.length;
            for (uint256 m = 0; m < members.length; ++m) {
                vm.assertEq(market.seat(members[m].seat).owner, members[m].validator);
                vm.assertTrue(members[m].validator != market.job(jobs[i]).winner, "I20");
            }
        }
        vm.assertEq(drawn, busy, "busy seats are those of open committees");
    }
}

contract InvariantTest {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    Handler private handler;

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = Handler.postJob.selector;
        selectors[1] = Handler.bid.selector;
        selectors[2] = Handler.bid.selector;
        selectors[3] = Handler.open.selector;
        selectors[4] = Handler.openAll.selector;
        selectors[5] = Handler.proceed.selector;
        selectors[6] = Handler.proceed.selector;
        selectors[7] = Handler.proceed.selector;
        selectors[8] = Handler.proceed.selector;
        selectors[9] = Handler.poke.selector;
        selectors[10] = Handler.wait.selector;
        selectors[11] = Handler.moveSeat.selector;
        selectors[12] = Handler.withdrawAndReturn.selector;
        selectors[13] = Handler.cancel.selector;
        selectors[14] = Handler.copy.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @dev I1 and I3: money is only moved. I4, I5, I6, I8, I15: jobs keep their promises. I20: seats are where they belong.
    function invariant_MoneyJobsAndSeats() public view {
        handler.checkConserved();
        handler.checkJobs();
        handler.checkSeats();
    }

    /// @dev The walk above would prove little if it never got anywhere: the same calls, by a die of our own.
    function test_TheWalkReachesEveryOutcome() public {
        bytes4[] memory selectors = targetSelectors()[0].selectors;
        for (uint256 i = 0; i < 5_000; ++i) {
            uint256 dice = uint256(keccak256(abi.encode("die", i)));
            bytes4 selector = selectors[dice % selectors.length];
            uint256 second = (dice >> 32) % (selector == Handler.poke.selector ? 2 : 4096);
            bytes memory arguments = abi.encode((dice >> 16) % 64, second, (dice >> 64) % 64, (dice >> 96) % 2);
            (bool isDone,) = address(handler).call(abi.encodePacked(selector, arguments));
            isDone;
            if (i % 64 == 0) invariant_MoneyJobsAndSeats();
        }
        string memory counts = "jobs by outcome:";
        for (uint256 outcome = 1; outcome < 9; ++outcome) {
            counts = string.concat(counts, " ", vm.toString(handler.closed(outcome)));
        }
        for (uint256 outcome = 1; outcome < 9; ++outcome) {
            vm.assertTrue(handler.closed(outcome) != 0, counts);
        }
    }
}
