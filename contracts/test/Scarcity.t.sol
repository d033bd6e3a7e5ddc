// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Seats that sit in other jobs: what it costs to keep them there, how draws wait for them, and how that ends.
contract ScarcityTest is Base {
    uint256 private constant MOST_WAITS = 5;
    uint256 private constant DRAW_SECONDS = 21;

    bytes32[3] private _others; // jobs of eleven seats each
    bytes32[3] private _seeds = [bytes32("one"), "two", "three"]; // theirs

    function _validatorCount() internal pure override returns (uint256) {
        return 45;
    }

    /// @dev Three jobs stand in SEED; the one that the test is about comes next.
    function _prepare() private {
        seats = 11;
        for (uint256 i = 0; i < 3; ++i) {
            userSeed = _seeds[i];
            _toSeed();
            _others[i] = jobId;
            vm.warp(block.timestamp - 10); // the others wait for it
        }
        (userSeed, seats) = (USER_SEED, 5);
    }

    /// @dev The other jobs draw theirs, those that can.
    function _occupy(uint256 count) private {
        bytes32 target = jobId;
        seats = 11;
        for (uint256 i = 0; i < count; ++i) {
            (jobId, userSeed) = (_others[i], _seeds[i]);
            _revealSeed();
            _checkState(State.KEYING);
        }
        (jobId, userSeed, seats) = (target, USER_SEED, 5);
    }

    /// @dev Its parties posted no keys, so that another job ends and lets its seats go.
    function _end(uint256 index) private {
        bytes32 target = jobId;
        jobId = _others[index];
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        jobId = target;
    }

    /// @dev 33 of 45 seats sit in three jobs when the job's own draw comes.
    function _toScarceDraw() private {
        _prepare();
        _toSeed();
        _occupy(3);
        vm.assertEq(market.freeSeats(), 12);
        vm.assertEq(market.busySeats(), 33);
        _revealSeed();
        _checkState(State.DRAWING);
        vm.assertEq(_size(), 0);
        vm.assertEq(market.freeSeats(), 12, "no seat was taken");
        vm.assertEq(uint256(market.job(jobId).nextSeats), 5);
    }

    // ---- the price of keeping seats busy

    function test_JobsOfAFewWeiCannotTakeOtherPeoplesSeats() public {
        Terms memory terms = _terms();
        terms.reserve = 1;
        _refuse(terms, "reserve");
        terms.reserve = 13; // 32 * 13 < 70 * 6
        _refuse(terms, "reserve");
        terms.reserve = 14;
        terms.fee = 0; // 100 * 0 < 70
        _refuse(terms, "fee");
        terms.fee = 1;
        vm.prank(user);
        market.post(terms, "");
    }

    function _refuse(Terms memory terms, string memory field) private {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, field));
        market.post(terms, "");
    }

    function test_NobodyPostsIntoAMarketWhoseSeatsAreBusy() public {
        _prepare();
        _occupy(2);
        (userSeed, seats) = ("late", 5);
        vm.assertEq(market.freeSeats(), 23); // 22 are busy
        vm.prank(user);
        market.post(_terms(), "");
        for (uint32 i = 0; market.freeSeats() > 21; ++i) {
            if (market.seat(i).isBusy) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        userSeed = "later";
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 21, 22));
        market.post(_terms(), "");
    }

    // ---- the first committee

    function test_ADrawWaitsWhileMostSeatsSitInOtherJobs() public {
        _toScarceDraw();
        vm.assertEq(market.job(jobId).deadline, block.timestamp + DRAW_SECONDS);
        vm.assertEq(market.job(jobId).drawBlock, block.number + 2, "a block that nobody knows");
        _poke();
        _checkState(State.DRAWING);
        vm.assertEq(market.job(jobId).deadline, block.timestamp + 4 * DRAW_SECONDS, "four times as long");
        vm.assertEq(market.job(jobId).drawBlock, block.number + 2);

        _end(0);
        vm.assertEq(market.freeSeats(), 23); // 22 are busy
        vm.assertEq(market.busySeats(), 22);
        _poke();
        _checkState(State.KEYING);
        vm.assertEq(market.job(jobId).round, 0);
        vm.assertEq(_size(), 5);
        vm.assertEq(market.freeSeats(), 18);
        vm.assertEq(market.busySeats(), 27);
    }

    function test_ACommitteeThatIsDrawnLateGetsItsKeysAndTests() public {
        _toScarceDraw();
        _end(0);
        _end(1);
        _end(2);
        _poke();
        _checkState(State.KEYING);
        _postTestKeys();
        _postModelKeys();
        _checkState(State.VCOMMIT);
        _vote(_same(GOOD, 5));
        _checkVerdict(Verdict.PASS);
        _appeal(stranger);
        _poke();
        vm.assertEq(_size(), 11, "an appeal's is the second round");
        vm.assertEq(market.job(jobId).round, 1);
        _vote(_same(GOOD, 11));
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        vm.assertEq(market.busySeats(), 0);
        vm.assertEq(market.freeSeats(), 45);
    }

    /// @dev I22: whoever keeps seats busy has no cheaper way out than others.
    function test_AJobThatNeverFindsSeatsFinesBothParties() public {
        _toScarceDraw();
        for (uint256 i = 1; i <= MOST_WAITS; ++i) {
            _poke();
            _checkState(State.DRAWING);
            vm.assertEq(market.job(jobId).deadline, block.timestamp + (DRAW_SECONDS << (2 * i)));
        }
        uint256 burned = market.burned();
        uint256 free = market.freeBalance(user);
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        vm.assertEq(market.burned() - burned, 24);
        vm.assertEq(market.freeBalance(user) - free, 100 + 10 + 50 - 12);
    }

    // ---- later ones

    function test_AnAppealWaitsForSeatsThatSitInOtherJobs() public {
        _prepare();
        _toTallied(GOOD);
        _occupy(2);
        vm.assertEq(market.freeSeats(), 18);
        _appeal(stranger);
        _poke();
        _checkState(State.DRAWING);
        vm.assertEq(market.freeSeats(), 18, "22 sit elsewhere");
        _end(0);
        _poke();
        _checkState(State.VCOMMIT);
        vm.assertEq(_size(), 11);
    }

    /// @dev Appeals of everything would keep all seats busy for as long as they wait, and so be heard by nobody.
    function test_AnAppealThatFindsNoSeatsGetsItsBondBackButForTheSeatsThatWaited() public {
        _prepare();
        _toTallied(BAD);
        _occupy(2);
        _appeal(stranger);
        for (uint256 i = 0; i < MOST_WAITS; ++i) {
            _poke();
            _checkState(State.DRAWING);
        }
        vm.assertEq(_net(stranger), -22, "it waits");
        _poke();
        _checkClosed(Outcome.REJECTED);
        vm.assertEq(_net(stranger), -10, "nobody heard it, and five seats sat and waited");
        vm.assertEq(market.auditPool(), 10);
        vm.assertEq(market.appeals(jobId).length, 0);
    }

    /// @dev Seats that are busy will be free again: who keeps them busy makes no verdict final.
    function test_AnAppealIsNotRefusedBecauseSeatsAreBusy() public {
        _prepare();
        _toTallied(GOOD);
        _occupy(2);
        for (uint32 i = 0; i < 45; ++i) {
            if (market.seat(i).isBusy || market.freeSeats() == 10) continue;
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _appeal(stranger);
        _checkState(State.DRAWING);
    }
}
