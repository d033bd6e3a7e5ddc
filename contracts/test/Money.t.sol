// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Base} from "./Base.sol";

/// @notice The rows of PROTOCOL.md 5.3: who loses what when somebody vanishes, to the wei.
///         Reserve 100, price 40 (lowest bid 30), five fees of 2, bonds of 50, seats of 70.
contract MoneyTest is Base {
    function _checkValidators(int256[] memory wanted) private view {
        for (uint256 i = 0; i < wanted.length; ++i) {
            vm.assertEq(_net(_member(i)), wanted[i], "validator");
        }
    }

    function _all(int256 each) private pure returns (int256[] memory wanted) {
        wanted = new int256[](SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            wanted[i] = each;
        }
    }

    function test_PostingEscrowsReserveFeesAndBond() public {
        _toBidding();
        vm.assertEq(_net(user), -160, "100 + 5 * 2 + 50");
        vm.assertEq(market.job(jobId).held, 160);
    }

    function test_CancelledBeforeAnyBidCostsNothing() public {
        _toBidding();
        vm.prank(user);
        market.cancel(jobId);
        _checkClosed(IMarket.Outcome.CANCELLED);
        _checkNet(0, 0, 0);
    }

    function test_NobodyBids() public {
        _toBidding();
        _poke();
        _checkClosed(IMarket.Outcome.NO_BIDS);
        _checkNet(0, 0, 0);
    }

    function test_TwoCommitAndNobodyOpens() public {
        _toRevealing();
        _poke();
        _checkClosed(IMarket.Outcome.NO_BIDS);
        _checkNet(0, -50, 100);
        vm.assertEq(_net(workers[1]), -50, "the other bidder");
    }

    function test_UserPostsNoDataKey() public {
        _toAwarded();
        _poke();
        _checkClosed(IMarket.Outcome.USER_FAULT);
        _checkNet(-50, 25, 25);
    }

    function test_WinnerSilentAfterKeys() public {
        _toKeyed();
        _poke();
        _checkClosed(IMarket.Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    function test_WinnerDeclines() public {
        _toKeyed();
        vm.prank(workers[0]);
        market.decline(jobId);
        _checkClosed(IMarket.Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    function test_WorkerNeverSubmits() public {
        _toTraining();
        _poke();
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
        _checkNet(25, -50, 25);
    }

    function test_UserHidesItsSeedShare() public {
        _toSeed();
        _poke();
        _checkState(IMarket.State.CLAIMABLE);
        _claim();
        _checkClosed(IMarket.Outcome.PAID);
        _checkNet(-90, 40, 50);
    }

    function test_UserHidesTheTestKey() public {
        _toKeying();
        _postModelKeys();
        _poke();
        _checkState(IMarket.State.CLAIMABLE);
        _claim();
        _checkClosed(IMarket.Outcome.PAID);
        _checkNet(-90, 40, 50);
        _checkValidators(_all(0));
    }

    function test_WorkerHidesTheModelKey() public {
        _toKeying();
        _postTestKeys();
        _poke();
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
        _checkNet(25, -50, 25);
        _checkValidators(_all(0));
    }

    /// @dev PROTOCOL.md 5.6, defect 8: this must not be a free exit for a user and its shill.
    function test_BothSilentInKeying() public {
        _toKeying();
        _poke();
        _checkClosed(IMarket.Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
        _checkValidators(_all(0));
        vm.assertEq(market.freeSeats(), VALIDATORS, "the seats are free again");
    }

    /// @dev 5.6, defect 7: a round that a party cut short has no no-shows, whenever it is settled.
    function test_ValidatorsAreNotSlashedForAPartysDefault() public {
        _toKeying();
        _postModelKeys();
        _poke();
        _poke(); // and then the worker does not claim either
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
        _checkValidators(_all(0));
        _checkNet(25, -50, 25);
    }

    function test_NormalPass() public {
        _toClaimable();
        _claim();
        _checkClosed(IMarket.Outcome.PAID);
        _checkNet(-50, 40, 0);
        _checkValidators(_all(2));
        vm.assertEq(_net(workers[1]), 0, "I10: a losing opener gets exactly its bond back");
    }

    function test_HonestFail() public {
        _toTallied(BAD);
        _poke();
        _checkClosed(IMarket.Outcome.REJECTED);
        _checkNet(-10, -15, 15);
        _checkValidators(_all(2));
    }

    function test_WorkerNeverClaims() public {
        _toClaimable();
        _poke();
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
        _checkNet(15, -50, 25);
        _checkValidators(_all(2));
    }

    /// @dev In this version an outlier has no fee and keeps its stake: slashing it takes the appeals to prove it wrong.
    function test_OneValidatorOutlierOneSilent() public {
        _toVcommit();
        IMarket.Report[] memory reports = _same(GOOD, 4);
        reports[3].metric = GOOD - 1_001;
        _vote(reports);
        _poke();
        _claim();
        _checkClosed(IMarket.Outcome.PAID);
        _checkNet(-46, 40, 14);
        int256[] memory wanted = _all(2);
        wanted[3] = 0;
        wanted[4] = -14;
        _checkValidators(wanted);
        vm.assertEq(_seatsOf(_member(4)), 0, "the silent seat is dissolved");
        vm.assertEq(market.freeSeats(), VALIDATORS - 1);
    }

    function test_AllValidatorsSilent() public {
        _toVcommit();
        _poke();
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
        _checkNet(0, 40, 30); // five slashes of 14: 40 to the worker, who did work, and the rest burns
        _checkValidators(_all(-14));
        vm.assertEq(market.freeSeats(), VALIDATORS - SEATS);
    }

    function test_WithoutAQuorumThereIsNoVerdict() public {
        _toVcommit();
        _vote(_same(GOOD, 2));
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
        _checkNet(0, 40, 2); // three slashes of 14
        int256[] memory wanted = _all(-14);
        wanted[0] = wanted[1] = 0;
        _checkValidators(wanted);
    }

    function test_ABareMajorityIsAQuorum() public {
        _toVcommit();
        _vote(_same(GOOD, 3));
        _checkState(IMarket.State.TALLIED);
        _poke();
        _claim();
        _checkNet(-46, 40, 28);
    }

    function test_CompensationIsAtMostThePrice() public {
        _toVcommit();
        _poke();
        vm.assertEq(_net(workers[0]), 40, "70 were slashed");
    }

    function test_NoTestMajorityPaysTheWorkerAndBurnsTheUsersBond() public {
        _toVcommit();
        _vote(_same(NO_TEST, SEATS));
        _poke();
        _claim();
        _checkClosed(IMarket.Outcome.PAID);
        _checkNet(-100, 40, 50);
        _checkValidators(_all(2));
    }

    function test_NoModelMajorityIsTheWorkersFault() public {
        _toVcommit();
        _vote(_same(NO_MODEL, SEATS));
        _poke();
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
        _checkNet(15, -50, 25);
        _checkValidators(_all(2));
    }

    /// @dev An unopened rival's bond burns with everything else that the job burns.
    function test_TheClosingEventCountsEverythingBurned() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _poke(); // worker 1 never opens
        vm.assertEq(market.job(jobId).burned, 50);
        vm.expectEmit(true, false, false, true, address(market));
        emit IMarket.JobClosed(jobId, IMarket.Outcome.USER_FAULT, workers[0], 0, 75);
        _pokeOnly();
        _checkNet(-50, 25, 75);
    }

    function _pokeOnly() private {
        uint40 deadline = market.job(jobId).deadline;
        vm.warp(deadline);
        market.poke(jobId);
    }

    /// @dev Divisions round down and remainders burn: bonds of 101 are 50, a quarter of 50 is 12, of 25 nothing is lost.
    function test_OddReservesRoundDown() public {
        IMarket.Terms memory terms = _terms();
        terms.reserve = 99; // bonds of 49
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        vm.assertEq(_net(user), -158, "99 + 10 + 49");
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        vm.assertEq(market.job(jobId).price, 99, "a lonely bidder is paid the reserve");
        _poke();
        _checkClosed(IMarket.Outcome.USER_FAULT);
        _checkNet(-49, 24, 25);
    }
}
