// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Appeals 5, 11, 23 (47 after the claim), redraws, and who is right in the end (PROTOCOL.md 2.4, 5.2).
contract AppealsTest is Base {
    function _validatorCount() internal pure override returns (uint256) {
        return 5 + 11 + 23 + 47;
    }

    function _setVote(int64 metric) private {
        _vote(_same(metric, _size()));
    }

    // ---- making one

    function test_AnAppealPaysForTwiceTheCommitteeAndOneMore() public {
        _toTallied(GOOD);
        vm.expectEmit(true, true, false, true, address(market));
        emit Appealed(jobId, stranger, 11, 22);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.DRAWING, uint40(block.timestamp + 21));
        _appeal(stranger);
        vm.assertEq(_net(stranger), -22, "bond");
        Job memory job = market.job(jobId);
        vm.assertEq(job.held, 160 + 50 + 22, "held");
        vm.assertEq(uint256(job.appeals), 1);
        vm.assertEq(uint256(job.nextSeats), 11);
        vm.assertEq(job.drawBlock, block.number + 2);
        Appeal[] memory made = market.appeals(jobId);
        vm.assertEq(made.length, 1);
        vm.assertEq(made[0].appellant, stranger);
        vm.assertEq(uint256(made[0].seats), 11);
        vm.assertEq(uint256(made[0].verdict), uint256(Verdict.PASS));
    }

    function test_CommitteesGrowFrom5To11To23AndNoFurther() public {
        _toTallied(GOOD);
        for (uint256 size = 11; size <= 23; size += 12) {
            _appeal(stranger);
            _poke();
            _checkState(State.VCOMMIT);
            vm.assertEq(_size(), size);
            vm.assertEq(market.job(jobId).deadline, block.timestamp + 30, "a whole testing window");
            _setVote(GOOD);
            _checkState(State.TALLIED);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NoAppealLeft.selector, jobId));
        market.appeal(jobId);
        _checkNobodyTwice(2);
    }

    /// @dev I20.
    function _checkNobodyTwice(uint256 rounds) private view {
        for (uint256 r = 0; r <= rounds; ++r) {
            Member[] memory members = market.committee(jobId, uint8(r));
            for (uint256 i = 0; i < members.length; ++i) {
                vm.assertTrue(members[i].validator != user && members[i].validator != workers[0], "no party");
                vm.assertTrue(market.seat(members[i].seat).isBusy, "I19: held until the end");
                for (uint256 s = 0; s <= r; ++s) {
                    for (uint256 j = 0; j < (s == r ? i : market.committee(jobId, uint8(s)).length); ++j) {
                        vm.assertTrue(members[i].validator != _member(s, j), "nobody twice");
                    }
                }
            }
        }
    }

    function test_TheLastAppealIsTheUsersWhileItInspects() public {
        _toTallied(GOOD);
        for (uint256 i = 0; i < 2; ++i) {
            _appeal(stranger);
            _poke();
            _setVote(GOOD);
        }
        _poke();
        _claim();
        vm.prank(user);
        vm.expectEmit(true, true, false, true, address(market));
        emit Appealed(jobId, user, 47, 94);
        market.inspectAppeal(jobId);
        _poke();
        vm.assertEq(_size(), 47);
        _setVote(BAD);
        _checkVerdict(Verdict.FAIL);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NoAppealLeft.selector, jobId));
        market.appeal(jobId);
    }

    function test_AfterAnEarlyInspectionTheOtherAppealsAreLeft() public {
        _toInspect();
        _inspectAppeal();
        _poke();
        _setVote(BAD);
        for (uint256 size = 23; size <= 47; size += 24) {
            _appeal(workers[0]);
            _poke();
            vm.assertEq(_size(), size);
            _setVote(GOOD);
            _checkState(State.TALLIED);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NoAppealLeft.selector, jobId));
        market.appeal(jobId);
        uint256 deadline = market.job(jobId).deadline;
        _poke();
        vm.assertEq(block.timestamp, deadline, "y is known: paid at once, with no second inspection");
        while (_state() != State.CLOSED) _poke();
        _checkClosed(Outcome.PAID);
    }

    function test_NoCommitteeIsLargerThan47() public {
        seats = 11;
        _toTallied(GOOD);
        for (uint256 i = 0; i < 2; ++i) {
            _appeal(stranger);
            _poke();
            _setVote(GOOD);
        }
        vm.assertEq(_size(), 47);
        _poke();
        _claim();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NoAppealLeft.selector, jobId));
        market.inspectAppeal(jobId);
    }

    function test_AnAppealNeedsFreeSeatsForItsCommittee() public {
        _toTallied(GOOD);
        for (uint32 i = 0; market.freeSeats() > 10; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 10, 11));
        market.appeal(jobId);
    }

    function test_AnAppealIsPaidInFull() public {
        _toTallied(GOOD);
        vm.prank(stranger);
        market.withdraw(PURSE - 21);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(InsufficientBalance.selector, stranger, 21, 22));
        market.appeal(jobId);
        _checkState(State.TALLIED);
    }

    // ---- drawing and testing anew

    /// @dev The user cannot grind it: no share of anybody's goes in, and the block comes after the appeal.
    function test_ALaterCommitteeIsDrawnFromABlockAfterItsAppeal() public {
        _toTallied(GOOD);
        _appeal(stranger);
        uint256 drawBlock = market.job(jobId).drawBlock;
        vm.roll(drawBlock + 1 + 256 + 7); // its hash is forgotten: the one 256 blocks later counts
        bytes32 seed = keccak256(abi.encode(blockhash(drawBlock + 256), jobId));
        address[] memory wanted = _mirror(seed, 1, 11);
        vm.warp(market.job(jobId).deadline);
        vm.expectEmit(true, false, false, true, address(market));
        emit CommitteeDrawn(jobId, 1, seed, wanted);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.VCOMMIT, uint40(block.timestamp + 30));
        market.poke(jobId);
    }

    function _mirror(bytes32 seed, uint8 round, uint256 size) private view returns (address[] memory drawn) {
        Job memory job = market.job(jobId);
        drawn = new address[](size);
        uint256 count;
        for (uint256 attempt = 0; attempt < 512 && count < size; ++attempt) {
            uint32 number = uint32(uint256(keccak256(abi.encode(seed, round, attempt))) % job.seatSpan);
            Seat memory seat = market.seat(number);
            // Each validator has one seat here, so whoever sat is busy.
            bool maySit = !seat.isBusy && seat.owner != user && seat.owner != workers[0];
            for (uint256 i = 0; i < count; ++i) {
                if (drawn[i] == seat.owner) maySit = false;
            }
            if (maySit) drawn[count++] = seat.owner;
        }
        vm.assertEq(count, size);
    }

    function test_ALaterRoundTakesKeysOnceASideAndGoesOn() public {
        _toSecondRound(GOOD);
        uint256 deadline = market.job(jobId).deadline;
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(WrongBoxCount.selector, 5, 11));
        market.postTestKeys(jobId, _boxes(5));
        bytes[] memory boxes = _boxes(11);
        vm.expectEmit(true, false, false, true, address(market));
        emit TestKeysPosted(jobId, boxes);
        _postTestKeys();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, user));
        market.postTestKeys(jobId, boxes);
        _postModelKeys();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, workers[0]));
        market.postModelKeys(jobId, boxes);
        _checkState(State.VCOMMIT);
        vm.assertEq(market.job(jobId).deadline, deadline, "the window is the same");
        _setVote(GOOD);
        _appeal(stranger);
        _poke();
        _postTestKeys(); // the next round's
        _postModelKeys();
        _checkState(State.VCOMMIT);
    }

    function test_ADisputeOfALaterRoundIsItsOwn() public {
        _toSecondRound(GOOD);
        _commitReport(_report(0, GOOD, PRINT));
        _complainKeys(1, true);
        _poke();
        _checkState(State.CLAIMABLE);
        _checkVerdict(Verdict.NO_TEST);
        vm.assertTrue(market.job(jobId).isAborted, "aborted");
        _claim();
        _checkClosed(Outcome.PAID);
        // The appeal doubted PASS, and NO_TEST stands: it was right.
        vm.assertEq(_net(stranger), 0, "refunded");
        _checkRound(0, _all(2)); // 5.6, defect 2
        _checkRound(1, _each(11, 0));
        _checkNet(-100, 40, 50);
    }

    // ---- redraws

    function test_AnAppealWithoutAQuorumIsRedrawnOnceAndThenTheVerdictStands() public {
        _toSecondRound(GOOD);
        _vote(_same(BAD, 5)); // of 11
        _checkState(State.DRAWING);
        vm.assertEq(uint256(market.job(jobId).nextSeats), 11);
        vm.assertEq(market.job(jobId).drawBlock, block.number + 2);
        _poke();
        _vote(_same(BAD, 5));
        _checkState(State.CLAIMABLE);
        _checkVerdict(Verdict.PASS);
        _claim();
        _poke();
        _poke(); // 27 seats
        _checkClosed(Outcome.PAID);
        _checkRound(0, _all(2));
        vm.assertEq(_net(_member(1, 0)), 0, "not near, but no quorum says that it is wrong");
        vm.assertEq(_net(_member(1, 5)), -14, "silent");
        vm.assertEq(_net(stranger), -22, "nothing was proved");
        _checkNet(-50, 40, 22 + 12 * 14 - 33);
    }

    function test_AQuorumThatIsSplitBetweenTheCodesFallsAgainstTheWorkerAndCanBeAppealed() public {
        _toSecondRound(GOOD);
        Report[] memory reports = _same(NO_MODEL, 10);
        for (uint256 i = 0; i < 5; ++i) reports[i].metric = NO_TEST;
        vm.assertEq(market.job(jobId).redraws, 0);
        _vote(reports);
        _checkState(State.TALLIED);
        _checkVerdict(Verdict.NO_MODEL);
        Tally memory found = market.tally(jobId, 1);
        vm.assertEq(uint256(found.verdict), uint256(Verdict.NO_MODEL));
        _appeal(stranger);
        _poke();
        vm.assertEq(_size(), 23);
    }

    function test_WithoutASeatToDrawTheVerdictStands() public {
        _toTallied(BAD);
        _appeal(workers[0]);
        for (uint32 i = 0; i < validators.length; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        vm.warp(market.job(jobId).deadline);
        vm.roll(block.number + 3);
        vm.expectEmit(true, true, false, true, address(market));
        emit AppealUnheard(jobId, workers[0], 22, 10);
        market.poke(jobId);
        _checkClosed(Outcome.REJECTED);
        _checkNet(-10, -15 - 10, 15);
        vm.assertEq(market.auditPool(), 10, "five seats sat and waited");
        vm.assertEq(market.appeals(jobId).length, 0);
    }

    /// @dev A smaller one would be cheaper to own.
    function test_ACommitteeIsWholeOrThereIsNone() public {
        _toTallied(GOOD);
        _appeal(stranger);
        uint256 left = 10;
        for (uint32 i = 0; i < validators.length; ++i) {
            if (market.seat(i).isBusy || (left > 0 && left-- > 0)) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        vm.assertEq(market.freeSeats(), 10);
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(market.freeSeats(), 10, "none of them was taken");
        vm.assertEq(_net(stranger), -10, "nobody heard the appeal, and five seats waited");
    }

    /// @dev The bond paid for a committee, though it did not report.
    function test_AnAppealWhoseCommitteeWasSilentIsNotPaidBackWhereNoOtherIsThere() public {
        _toTallied(GOOD);
        _appeal(stranger);
        _poke();
        _poke(); // 11 are silent
        _checkState(State.DRAWING);
        for (uint32 i = 0; i < validators.length; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _poke();
        _checkState(State.CLAIMABLE);
        vm.assertEq(_net(stranger), -22, "its committee was drawn");
    }

    // ---- who was right

    function test_WhoeverDoubtedWhatDoesNotStandGetsItsBondBack() public {
        _toTallied(GOOD);
        _appeal(stranger); // doubts PASS
        _poke();
        _setVote(BAD);
        _appeal(workers[1]); // doubts FAIL
        _poke();
        _setVote(GOOD);
        _poke();
        _claim();
        _poke();
        _poke(); // 39 seats
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(stranger), -22, "was wrong in the end");
        vm.assertEq(_net(workers[1]), 0, "was right");
        _checkRound(0, _all(2));
        _checkRound(1, _each(11, -35));
        _checkRound(2, _each(23, 2));
        // Fees 28 * 2, of which 46 out of a pool of 22 + 46 + 11 * 35; and a refund of 46.
        _checkNet(-50, 40, 22 + 46 + 385 - 46 - 46 - 385 / 5);
    }

    function test_AnAppealFromCodesSplitEvenlyIsPaidBackIfAMetricIsFound() public {
        _toVcommit();
        Report[] memory reports = _same(NO_MODEL, 4);
        reports[0].metric = reports[1].metric = NO_TEST;
        _vote(reports);
        _checkVerdict(Verdict.NO_MODEL);
        _appeal(stranger);
        _poke();
        _setVote(GOOD);
        _checkVerdict(Verdict.PASS);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        // 11 fees: 10 out of the escrow, 12 out of a slash of 14 and a bond of 22: 24 are left, 22 of them for the
        // bond, and two, a fifth of the slash, for audits.
        vm.assertEq(_net(stranger), 0, "refunded");
        _checkNet(-50, 40, 0);
        vm.assertEq(market.auditPool(), 2);
    }

    /// @dev Five of eleven agree with the median: that is not most of them, and so nobody of any round is slashed.
    function test_ALaterCommitteeWithoutAMajorityProvesNobodyWrong() public {
        _toSecondRound(BAD);
        _vote(_scattered(3));
        _checkVerdict(Verdict.PASS);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        _checkRound(0, _all(0));
        for (uint256 i = 0; i < 11; ++i) {
            vm.assertEq(_net(_member(1, i)), i < 3 || i > 7 ? int256(0) : int256(2), vm.toString(i));
        }
    }

    function test_EarlierRoundsDoNotBackALaterOnesMetric() public {
        _toSecondRound(GOOD);
        _vote(_scattered(3));
        _poke();
        _claim();
        _poke();
        _checkRound(0, _all(2));
        for (uint256 i = 0; i < 11; ++i) {
            vm.assertEq(_net(_member(1, i)), i < 3 || i > 7 ? int256(0) : int256(2), vm.toString(i));
        }
    }

    /// @dev Six of eleven do: who is far from them is slashed, in this round and in the one before.
    function test_ABareMajorityOfALaterCommitteeProvesOthersWrong() public {
        _toSecondRound(BAD);
        _vote(_scattered(2));
        _poke();
        _claim();
        _poke();
        _checkRound(0, _all(-35));
        for (uint256 i = 0; i < 11; ++i) {
            vm.assertEq(_net(_member(1, i)), i < 2 || i > 7 ? int256(-35) : int256(2), vm.toString(i));
        }
    }

    /// @dev Of eleven the first `low` and the last three find something else, each its own.
    function _scattered(uint256 low) private view returns (Report[] memory reports) {
        reports = _same(GOOD, 11);
        for (uint256 i = 0; i < low; ++i) reports[i].metric = BAD - int64(int256(i + 1)) * 10_000;
        for (uint256 i = 8; i < 11; ++i) reports[i].metric = GOOD + int64(int256(i - 7)) * 10_000;
    }

    /// @dev I21: a pool that is too small pays as far as it goes.
    function test_ARefundIsAtMostWhatIsLeft() public {
        _toTallied(NO_MODEL);
        _appeal(stranger);
        _poke();
        _setVote(GOOD);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        // The five of round 0 get a strike each, and nothing is slashed: the pool is the bond of 22, fees take 12.
        vm.assertEq(_net(stranger), -12, "ten came back");
        _checkNet(-50, 40, 0);
    }
}
