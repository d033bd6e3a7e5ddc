// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice The rows of PROTOCOL.md 5.3: who loses what when somebody vanishes, to the wei.
///         Reserve 100, price 40 (lowest bid 30), five fees of 2, bonds of 50, seats of 70.
contract MoneyTest is Base {
    function _checkValidators(int256[] memory wanted) private view {
        _checkRound(0, wanted);
    }

    function test_PostingEscrowsReserveFeesAndBond() public {
        _toBidding();
        vm.assertEq(_net(user), -160, "100 + 5 * 2 + 50");
        vm.assertEq(market.job(jobId).held, 160, "held");
    }

    function test_CancelledBeforeAnyBidCostsNothing() public {
        _toBidding();
        vm.prank(user);
        market.cancel(jobId);
        _checkClosed(Outcome.CANCELLED);
        _checkNet(0, 0, 0);
    }

    function test_NobodyBids() public {
        _toBidding();
        _poke();
        _checkClosed(Outcome.NO_BIDS);
        _checkNet(0, 0, 0);
    }

    function test_TwoCommitAndNobodyOpens() public {
        _toRevealing();
        _poke();
        _checkClosed(Outcome.NO_BIDS);
        _checkNet(0, -50, 100);
        vm.assertEq(_net(workers[1]), -50, "the other bidder");
    }

    function test_UserPostsNoDataKey() public {
        _toAwarded();
        _poke();
        _checkClosed(Outcome.USER_FAULT);
        _checkNet(-50, 25, 25);
    }

    function test_WinnerSilentAfterKeys() public {
        _toKeyed();
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    function test_WinnerDeclines() public {
        _toKeyed();
        vm.prank(workers[0]);
        market.decline(jobId);
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    function test_WorkerNeverSubmits() public {
        _toTraining();
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkNet(25, -50, 25);
    }

    function test_UserHidesItsSeedShare() public {
        _toSeed();
        _poke();
        _checkState(State.CLAIMABLE);
        _claim();
        _checkClosed(Outcome.PAID);
        _checkNet(-90, 40, 50);
    }

    function test_UserHidesTheTestKey() public {
        _toKeying();
        _postModelKeys();
        _poke();
        _checkState(State.CLAIMABLE);
        _claim();
        _checkClosed(Outcome.PAID);
        _checkNet(-90, 40, 50);
        _checkValidators(_all(0));
    }

    function test_WorkerHidesTheModelKey() public {
        _toKeying();
        _postTestKeys();
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkNet(25, -50, 25);
        _checkValidators(_all(0));
    }

    /// @dev PROTOCOL.md 5.6, defect 8: this must not be a free exit for a user and its shill.
    function test_BothSilentInKeying() public {
        _toKeying();
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
        _checkValidators(_all(0));
        vm.assertEq(market.freeSeats(), validators.length, "the seats are free again");
    }

    /// @dev 5.6, defect 7: a round that a party cut short has no no-shows, whenever it is settled.
    function test_ValidatorsAreNotSlashedForAPartysDefault() public {
        _toKeying();
        _postModelKeys();
        _poke();
        _poke(); // and then the worker does not claim either
        _checkClosed(Outcome.WORKER_FAULT);
        _checkValidators(_all(0));
        _checkNet(25, -50, 25);
    }

    function test_NormalPass() public {
        _toPaid();
        _checkNet(-50, 40, 0);
        _checkValidators(_all(2));
        vm.assertEq(_net(workers[1]), 0, "I10: a losing opener gets exactly its bond back");
    }

    function test_HonestFail() public {
        _toTallied(BAD);
        _poke();
        _checkClosed(Outcome.REJECTED);
        _checkNet(-10, -15, 15);
        _checkValidators(_all(2));
    }

    function test_WorkerNeverClaims() public {
        _toClaimable();
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkNet(15, -50, 25);
        _checkValidators(_all(2));
    }

    function test_OneValidatorOutlierOneSilent() public {
        _toVcommit();
        Report[] memory reports = _same(GOOD, 4);
        reports[3].metric = GOOD - 1_001;
        _vote(reports);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        _checkNet(-46, 40, 49 - 9); // a fifth of the slashes is for audits
        int256[] memory wanted = _all(2);
        (wanted[3], wanted[4]) = (-35, -14);
        _checkValidators(wanted);
        vm.assertEq(_seatsOf(_member(3)), 0, "the outlier's seat is dissolved");
        vm.assertEq(_seatsOf(_member(4)), 0, "and the silent one's");
        vm.assertEq(market.freeSeats(), validators.length - 2);
    }

    function test_AllValidatorsSilentTwice() public {
        _toVcommit();
        _poke();
        _checkState(State.DRAWING);
        vm.assertEq(market.job(jobId).redraws, 1);
        _poke();
        _checkState(State.VCOMMIT);
        vm.assertEq(_size(), SEATS, "a redraw is as large");
        _poke();
        _checkClosed(Outcome.INCONCLUSIVE);
        _checkNet(0, 40, 100 - 28); // ten slashes of 14: 40 to the worker, who did work, 28 for audits, and the rest burns
        _checkRound(0, _all(-14));
        _checkRound(1, _all(-14));
        vm.assertEq(market.freeSeats(), validators.length - 2 * SEATS);
    }

    function test_WithoutAQuorumThereIsARedrawAndItsVerdictCounts() public {
        _toVcommit();
        _vote(_same(BAD, 2));
        _checkState(State.DRAWING);
        _checkVerdict(Verdict.NONE);
        _poke();
        _vote(_same(GOOD, SEATS));
        _checkVerdict(Verdict.PASS);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        int256[] memory wanted = _all(-14);
        wanted[0] = wanted[1] = -35; // found something else than the committee that decided
        _checkValidators(wanted);
        _checkRound(1, _all(2));
        _checkNet(-50, 40, 2 * 35 + 3 * 14 - 22);
    }

    function test_WithoutASecondQuorumThereIsNoVerdict() public {
        _toVcommit();
        _vote(_same(GOOD, 2));
        _poke();
        _vote(_same(GOOD, 2));
        _checkClosed(Outcome.INCONCLUSIVE);
        // Six slashes of 14. With no verdict's metric to compare with, who reported is paid: 4 fees of the user's escrow.
        _checkNet(-8, 40, 84 - 40 - 16);
        int256[] memory wanted = _all(-14);
        wanted[0] = wanted[1] = 2;
        _checkValidators(wanted);
        _checkRound(1, wanted);
    }

    function test_ABareMajorityIsAQuorum() public {
        _toVcommit();
        _vote(_same(GOOD, 3));
        _checkState(State.TALLIED);
        _poke();
        _claim();
        _poke();
        _checkNet(-46, 40, 28 - 5);
    }

    function test_CompensationIsAtMostThePrice() public {
        _toVcommit();
        _poke();
        _poke();
        _poke();
        vm.assertEq(_net(workers[0]), 40, "140 were slashed");
    }

    function test_AFrivolousInspectAppealCostsItsBond() public {
        _toInspect();
        _inspectAppeal();
        _poke();
        _vote(_same(GOOD, 11));
        _poke();
        _checkClosed(Outcome.PAID);
        _checkNet(-72, 40, 0);
        _checkRound(0, _all(2));
        _checkRound(1, _each(11, 2));
    }

    function test_AFalsePassThatAnAppealOverturnsCostsTheLiarsOnly() public {
        _toSecondRound(GOOD);
        _vote(_same(BAD, 11));
        _poke();
        _checkClosed(Outcome.REJECTED);
        // The pool of five slashes of 35 and the bond of 22: twelve of its wei are fees, 22 the appellant's.
        _checkNet(-10, -15, 15 + 175 + 22 - 12 - 22 - 175 / 5);
        vm.assertEq(_net(stranger), 0, "the appellant was right");
        _checkRound(0, _all(-35));
        _checkRound(1, _each(11, 2));
    }

    function test_AFalsePassFoundWhileInspectingCostsTheLiarsOnly() public {
        _toInspect();
        _inspectAppeal();
        _poke();
        _vote(_same(BAD, 11));
        _checkVerdict(Verdict.FAIL);
        _poke();
        _checkClosed(Outcome.REJECTED);
        _checkNet(-10, -15, 178 - 175 / 5);
        _checkRound(0, _all(-35));
    }

    function test_NoTestMajorityPaysTheWorkerAndBurnsTheUsersBond() public {
        _toVcommit();
        _vote(_same(NO_TEST, SEATS));
        _poke();
        _claim();
        _checkClosed(Outcome.PAID);
        _checkNet(-100, 40, 50);
        _checkValidators(_all(2));
    }

    function test_NoModelMajorityIsTheWorkersFault() public {
        _toVcommit();
        _vote(_same(NO_MODEL, SEATS));
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkNet(15, -50, 25);
        _checkValidators(_all(2));
    }

    /// @dev An unopened rival's bond burns with everything else that the job burns.
    function test_TheClosingEventCountsEverythingBurned() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _poke(); // worker 1 never opens
        vm.assertEq(market.job(jobId).burned, 50);
        uint40 deadline = market.job(jobId).deadline;
        vm.warp(deadline);
        vm.expectEmit(true, false, false, true, address(market));
        emit JobClosed(jobId, Outcome.USER_FAULT, workers[0], 0, 75);
        market.poke(jobId);
        _checkNet(-50, 25, 75);
    }

    /// @dev Divisions round down and remainders burn: bonds of 101 are 50, a quarter of 50 is 12, of 25 nothing is lost.
    function test_OddReservesRoundDown() public {
        reserve = 99; // bonds of 49
        _post();
        vm.assertEq(_net(user), -158, "99 + 10 + 49");
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        vm.assertEq(market.job(jobId).price, 99, "a lonely bidder is paid the reserve");
        _poke();
        _checkClosed(Outcome.USER_FAULT);
        _checkNet(-49, 24, 25);
    }
}
