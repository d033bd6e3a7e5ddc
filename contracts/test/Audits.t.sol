// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Random audits: when chance wants one, what it costs the pool and nobody else, and what it leaves as it was.
contract AuditsTest is Base {
    uint96 private constant POOL = 100; // wei
    uint96 private constant AUDIT = 3 * FEE; // wei

    function setUp() public override {
        auditOneIn = 2;
        super.setUp();
    }

    function _validatorCount() internal pure override returns (uint256) {
        return 5 + 3 + 3 + 11 + 23 + 47;
    }

    function _give(uint96 amount) private {
        vm.prank(stranger);
        market.fundAudits(amount);
        _checkConserved();
    }

    /// @dev Lets blocks pass until the block that decides wants an audit, or wants none. It is always one that comes
    ///      `seedBlocks` after the tally, or a multiple of 256 later.
    function _awaitChance(bool isWanted) private {
        vm.roll(block.number + 3);
        while (_isChosen(block.number - 1) != isWanted) vm.roll(block.number + 256);
    }

    function _isChosen(uint256 number) private view returns (bool) {
        return uint256(keccak256(abi.encode(blockhash(number), jobId, bytes32("audit")))) % 2 == 0;
    }

    /// @dev A finding, a pool, and the block that wants an audit.
    function _toAudit(int64 metric, bool isWanted) private {
        _give(POOL);
        _toTallied(metric);
        _awaitChance(isWanted);
    }

    function _voteAll(int64 metric) private {
        _vote(_same(metric, _size()));
    }

    // ---- whether there is one

    /// @dev Its job's own five seats sit in no other job.
    function test_ThreeFreeSeatsAreEnoughForAnAudit() public {
        _toAudit(GOOD, true);
        for (uint32 i = 0; i < validators.length; ++i) {
            if (market.seat(i).isBusy || market.freeSeats() == 3) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _poke();
        _checkState(State.DRAWING);
        _poke();
        _checkState(State.VCOMMIT);
        vm.assertEq(_size(), 3);
    }

    /// @dev It would keep its job's seats for as long as it waited.
    function test_NoAuditWaitsForSeatsThatSitInOtherJobs() public {
        userSeed = "another";
        _toKeying();
        userSeed = USER_SEED;
        _toAudit(GOOD, true);
        for (uint32 i = 0; market.freeSeats() > 5; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        uint256 before = vm.snapshotState();
        _poke();
        _checkState(State.DRAWING);
        vm.revertToState(before);
        for (uint32 i = 0; market.freeSeats() > 4; ++i) {
            if (market.seat(i).isBusy || market.seat(i).freeAt != 0) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _poke();
        _checkState(State.CLAIMABLE);
    }

    function test_AnAuditThatFindsNoSeatsCostsThePoolNothing() public {
        _toAudit(GOOD, true);
        _poke();
        _checkState(State.DRAWING);
        vm.assertEq(market.auditPool(), POOL - AUDIT);
        for (uint32 i = 0; i < validators.length; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(market.auditPool(), POOL);
    }

    function test_ChanceWantsAnAuditWhereNobodyAppeals() public {
        _toAudit(GOOD, true);
        uint40 deadline = market.job(jobId).deadline;
        vm.warp(deadline);
        vm.expectEmit(true, false, false, true, address(market));
        emit Audited(jobId, 3, AUDIT);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.DRAWING, deadline + 21);
        market.poke(jobId);
        _checkConserved();
        Job memory job = market.job(jobId);
        vm.assertEq(uint256(job.nextSeats), 3);
        vm.assertEq(market.auditPool(), POOL - AUDIT);
        vm.assertEq(job.held, 160 + 50 + int256(uint256(AUDIT)), "held");
        Appeal[] memory made = market.appeals(jobId);
        vm.assertEq(made.length, 1);
        vm.assertEq(made[0].appellant, address(0));
        vm.assertEq(uint256(made[0].round), 0);
        _poke();
        _checkState(State.VCOMMIT);
        vm.assertEq(_size(), 3);
    }

    function test_ChanceMayWantNone() public {
        _toAudit(GOOD, false);
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(market.auditPool(), POOL);
    }

    function testFuzz_TheBlockAfterTheTallyDecidesAndThenOneEach256(uint16 waited) public {
        _give(POOL);
        _toTallied(GOOD);
        uint256 decisive = block.number + 2;
        vm.roll(decisive + 1 + waited);
        bool isWanted = _isChosen(decisive + waited - (waited % 256));
        _poke();
        _checkState(isWanted ? State.DRAWING : State.CLAIMABLE);
    }

    function test_AYoungChainKnowsNoBlockBeforeItsFirst() public {
        vm.roll(1);
        _give(POOL);
        _toTallied(GOOD);
        vm.roll(10); // the blocks of the tally and of its seed lie in between: newer than the newest at 256 from it
        _poke();
        vm.assertTrue(_state() == State.DRAWING || _state() == State.CLAIMABLE, "no poke is ever stuck");
    }

    function test_WithoutMeansThereIsNone() public {
        _give(AUDIT - 1);
        _toTallied(GOOD);
        _awaitChance(true);
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(market.auditPool(), AUDIT - 1);
    }

    function test_TheLastThreeFeesOfThePoolAreEnough() public {
        _give(AUDIT);
        _toTallied(GOOD);
        _awaitChance(true);
        _poke();
        _checkState(State.DRAWING);
        vm.assertEq(market.auditPool(), 0);
    }

    function test_WithoutThreeFreeSeatsThereIsNone() public {
        _toAudit(GOOD, true);
        for (uint32 number = 0; market.freeSeats() > 2; ++number) {
            Seat memory seat = market.seat(number);
            if (seat.isBusy) continue;
            vm.prank(seat.owner);
            market.requestUnstake(number);
        }
        _poke();
        _checkState(State.CLAIMABLE);
    }

    function test_OnlyAMetricIsAudited() public {
        _toAudit(NO_TEST, true);
        _poke();
        _checkState(State.CLAIMABLE);
    }

    function test_WhoAppealsSparesTheMarketTheAudit() public {
        _toAudit(GOOD, true);
        _appeal(stranger);
        _poke();
        _voteAll(GOOD);
        _awaitChance(true);
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(market.auditPool(), POOL);
    }

    function test_AJobIsAuditedOnce() public {
        _toAuditRound(GOOD);
        _voteAll(GOOD);
        _awaitChance(true);
        _poke();
        _checkState(State.CLAIMABLE);
    }

    function _toAuditRound(int64 metric) private {
        _toAudit(metric, true);
        _poke();
        _poke();
    }

    // ---- who gains and who loses

    function test_AnAuditThatAgreesCostsThePoolItsFeesAndNobodyElseAnything() public {
        _toAuditRound(GOOD);
        _voteAll(GOOD);
        _awaitChance(false);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        _checkNet(-50, 40, 0);
        _checkRound(0, _all(2));
        _checkRound(1, _each(3, 2));
        vm.assertEq(market.auditPool(), POOL - AUDIT);
    }

    function test_ALazyCommitteeIsSlashedAndItsVerdictCorrected() public {
        _toAuditRound(GOOD);
        _voteAll(BAD);
        _poke();
        _checkClosed(Outcome.REJECTED);
        _checkRound(0, _all(-35));
        _checkRound(1, _each(3, 2));
        // Of the 175 that the lazy lose, a fifth is for audits; the three fees of the audit's bond came back.
        _checkNet(-10 + 4, -15, 15 + 175 - 35);
        vm.assertEq(market.auditPool(), POOL + 35);
    }

    function test_AWrongAuditIsOverturnedByTheCommitteeThatAnAppealWouldHaveHadAnyway() public {
        _toAuditRound(GOOD);
        _voteAll(BAD);
        vm.expectEmit(true, true, false, true, address(market));
        emit Appealed(jobId, stranger, 11, 22);
        vm.prank(stranger);
        market.appeal(jobId);
        _poke();
        _voteAll(GOOD);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(stranger), -int256(uint256(POOL)), "its gift, and not its bond");
        _checkRound(0, _all(2));
        _checkRound(1, _each(3, -35));
        _checkRound(2, _each(11, 2));
    }

    // ---- what it leaves as it was

    function test_AnAuditTakesNobodysAppealAway() public {
        _toAuditRound(GOOD);
        _voteAll(GOOD);
        for (uint256 size = 11; size <= 23; size += 12) {
            _appeal(stranger);
            _poke();
            vm.assertEq(_size(), size);
            _voteAll(GOOD);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NoAppealLeft.selector, jobId));
        market.appeal(jobId);
        _poke();
        _claim();
        _inspectAppeal();
        _poke();
        vm.assertEq(_size(), 47);
        _voteAll(GOOD);
        while (_state() != State.CLOSED) _poke();
        vm.assertEq(uint256(market.job(jobId).outcome), uint256(Outcome.PAID));
    }

    function test_AfterASilentAuditThatIsDrawnAnewAnAppealStillGoesByTheFirstCommittee() public {
        _toAuditRound(GOOD);
        _poke(); // nobody has committed
        _checkState(State.DRAWING);
        _poke();
        vm.assertEq(_size(), 3);
        _voteAll(GOOD);
        vm.expectEmit(true, true, false, true, address(market));
        emit Appealed(jobId, stranger, 11, 22);
        vm.prank(stranger);
        market.appeal(jobId);
    }

    function test_WhatASecondCommitteeFoundMayBeAudited() public {
        _give(POOL);
        _toVcommit();
        _poke();
        _poke();
        _voteAll(GOOD);
        _awaitChance(true);
        _poke();
        vm.assertEq(uint256(market.appeals(jobId)[0].round), 1);
    }

    // ---- the pool

    function test_AnybodyMayFundAuditsOutOfItsFreeBalance() public {
        vm.expectEmit(true, false, false, true, address(market));
        emit AuditsFunded(stranger, 70);
        vm.prank(stranger);
        market.fundAudits(70);
        _checkConserved();
        vm.assertEq(market.auditPool(), 70);
        vm.assertEq(_net(stranger), -70, "stranger");
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(InsufficientBalance.selector, stranger, PURSE - 70, PURSE));
        market.fundAudits(PURSE);
    }
}

/// @notice A market of a hundred times the amounts, where a hundredth of the price is something.
contract AuditShareTest is Base {
    function setUp() public override {
        unit = 100;
        super.setUp();
    }

    function test_APaidUserPaysAHundredthOfThePriceForAudits() public {
        _toPaid();
        vm.assertEq(_net(user), -5_000 - 40, "user");
        vm.assertEq(_net(workers[0]), 4_000, "workers[0]");
        vm.assertEq(market.auditPool(), 40);
        vm.assertEq(market.burned(), 0);
    }

    function test_WithoutATestTheHundredthIsOfTheBondThatBurns() public {
        _toVcommit();
        _vote(_same(NO_TEST, SEATS));
        _poke();
        _claim();
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(user), -10_000, "user");
        vm.assertEq(market.auditPool(), 40);
        vm.assertEq(market.burned(), 5_000 - 40);
    }

    function test_OfAnUnpaidJobThePoolGetsNothingThatLeavesLessThanAQuarterOfTheReserveToBurn() public {
        _toVcommit();
        _vote(_same(BAD, SEATS));
        _poke();
        _checkClosed(Outcome.REJECTED);
        vm.assertEq(market.auditPool(), 0);
        vm.assertEq(market.burned(), 1_500, "30% of a bond is less than a quarter of the reserve");
    }
}
