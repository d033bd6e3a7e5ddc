// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice A code that did not become and stay the verdict is a strike; three within 30 days cost a tenth of the stake.
contract StrikesTest is Base {
    uint256 private _count;

    /// @dev Five validators only may sit: the same five in every job.
    function setUp() public override {
        super.setUp();
        for (uint32 i = 5; i < validators.length; ++i) {
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        _stake(user, 20); // for the guards of `post`; the user's never sit
    }

    /// @dev A job in which `validator` alone reports that there is no model.
    function _strike(address validator) private {
        _jobWith(validator, NO_MODEL);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
    }

    function _jobWith(address validator, int64 metric) private {
        userSeed = keccak256(abi.encode("job", ++_count));
        _toVcommit();
        Report[] memory reports = _same(GOOD, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            if (reports[i].validator == validator) reports[i].metric = metric;
        }
        _vote(reports);
    }

    function _checkStrikes(uint32 seat, uint256 count, uint256 firstAt) private view {
        Strikes memory strikes = market.strikes(seat);
        vm.assertEq(uint256(strikes.count), count, "count");
        vm.assertEq(uint256(strikes.firstAt), firstAt, "first at");
    }

    function test_TheThirdStrikeWithinThirtyDaysCostsATenth() public {
        _strike(validators[2]);
        uint256 first = block.timestamp;
        _checkStrikes(2, 1, first);
        vm.warp(first + 10 days);
        _strike(validators[2]);
        _checkStrikes(2, 2, first);
        vm.assertEq(_net(validators[2]), 0, "neither fee nor slash");
        _jobWith(validators[2], NO_MODEL);
        _poke();
        _claim();
        vm.warp(first + 30 days);
        vm.expectEmit(true, true, false, true, address(market));
        emit SeatSettled(jobId, _member(0), _member(0) == validators[2] ? 0 : 2, _member(0) == validators[2] ? 7 : 0);
        _poke();
        vm.assertEq(_net(validators[2]), -7, "a tenth of 70");
        vm.assertEq(market.seat(2).owner, address(0));
        _checkStrikes(2, 0, 0);
    }

    function test_AfterThirtyDaysTheCountStartsAnew() public {
        _strike(validators[2]);
        uint256 first = block.timestamp;
        _strike(validators[2]);
        _jobWith(validators[2], NO_MODEL);
        _poke();
        _claim();
        vm.warp(first + 30 days + 1);
        _poke();
        _checkStrikes(2, 1, first + 30 days + 1);
        vm.assertEq(_net(validators[2]), 0, "not slashed");
    }

    function test_StrikesAreOfTheSeatNotOfItsNumber() public {
        _strike(validators[2]);
        _strike(validators[2]);
        vm.prank(validators[2]);
        market.requestUnstake(2);
        vm.warp(block.timestamp + 1_000);
        vm.prank(validators[2]);
        market.unstake(2);
        _stake(validators[2], 1);
        vm.assertEq(market.seat(2).owner, validators[2]);
        _checkStrikes(2, 0, 0);
        _strike(validators[2]);
        _checkStrikes(2, 1, block.timestamp);
    }

    function test_OthersStrikesAreTheirs() public {
        _strike(validators[1]);
        _strike(validators[2]);
        _strike(validators[3]);
        for (uint32 i = 0; i < 5; ++i) {
            vm.assertEq(uint256(market.strikes(i).count), i == 0 || i == 4 ? 0 : 1);
        }
    }

    /// @dev Neither the code that is the verdict, nor silence, nor a wrong number: only a code.
    function test_OnlyACodeThatIsNotTheVerdictIsAStrike() public {
        userSeed = "all";
        _toTallied(NO_MODEL);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        for (uint32 i = 0; i < 5; ++i) {
            vm.assertEq(uint256(market.strikes(i).count), 0);
            vm.assertEq(_net(validators[i]), 2, "paid");
        }
    }

    /// @dev A fee is no consolation, but a strike is no slash: twice it costs nothing but the fee.
    function test_TwoStrikesCostNoStake() public {
        _strike(validators[0]);
        _strike(validators[0]);
        vm.assertEq(_net(validators[0]), 0, "no fee");
        vm.assertEq(_net(validators[1]), 4, "two fees");
        vm.assertEq(market.seat(0).owner, validators[0]);
    }
}
