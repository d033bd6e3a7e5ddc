// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Cheats} from "./Cheats.sol";

/// @notice `pay=linear`: passed is what beats the baseline, and the price is paid in the part of the way from baseline to
///         threshold that the committee's median has made. (`privacy=public`: Disputes.t.sol.)
contract OptionsTest is Base {
    /// @dev From 800,000 to 900,000 millionths; the price is 40.
    function setUp() public override {
        super.setUp();
        (options, baseline) = (2, 800_000);
    }

    function _paidFor(int64 metric) private returns (uint256 paid) {
        _toTallied(metric);
        _poke();
        if (_state() == State.CLOSED) return 0;
        _claim();
        vm.warp(market.job(jobId).deadline);
        vm.recordLogs();
        market.poke(jobId);
        Cheats.Log[] memory logs = vm.getRecordedLogs();
        (,, uint96 price,) = abi.decode(logs[logs.length - 1].data, (uint8, address, uint96, uint96)); // JobClosed
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(workers[0]), int256(uint256(price)), "and its bond is back");
        vm.assertEq(_net(user), -10 - int256(uint256(price)), "the rest of the reserve is the user's");
        return price;
    }

    function test_HalfOfTheWayIsHalfOfThePrice() public {
        vm.assertEq(_paidFor(850_000), 20);
    }

    function test_TheThresholdIsTheWholePrice() public {
        vm.assertEq(_paidFor(900_000), 40);
    }

    function test_BeyondTheThresholdIsNoMoreThanThePrice() public {
        vm.assertEq(_paidFor(type(int64).max), 40);
    }

    function test_APartIsRoundedDown() public {
        vm.assertEq(_paidFor(852_499), 20); // 20.9996
    }

    function test_AMillionthAboveTheBaselinePassesForNextToNothing() public {
        vm.assertEq(_paidFor(800_001), 0); // 0.0004
        _checkVerdict(Verdict.PASS);
    }

    function test_TheBaselineItselfFails() public {
        _toTallied(800_000);
        _checkVerdict(Verdict.FAIL);
        _poke();
        _checkClosed(Outcome.REJECTED);
        _checkNet(-10, -15, 15);
    }

    /// @dev The user's fault is no matter of metrics.
    function test_AJobWithoutATestIsPaidInFull() public {
        _toSeed();
        _poke();
        _claim();
        _checkClosed(Outcome.PAID);
        _checkNet(-90, 40, 50);
    }

    /// @dev What counts is the metric of the last committee that found one.
    function test_AnAppealChangesThePart() public {
        _toTallied(900_000);
        _appeal(stranger);
        _poke();
        _vote(_same(850_000, 11));
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(workers[0]), 20, "half");
        vm.assertEq(_net(stranger), -22, "PASS stands: the appeal was not right");
    }

    /// @dev The ends of 64 bits: neither wraps nor gets stuck.
    function testFuzz_ThePartIsWithinThePrice(int64 baseline_, int64 threshold, int64 metric) public {
        vm.assume(baseline_ < threshold && metric > NO_TEST);
        Terms memory terms = _terms();
        (terms.baseline, terms.threshold) = (baseline_, threshold);
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        _postKeys();
        _ack();
        _submitModel();
        vm.roll(block.number + 3);
        _revealSeed();
        _postModelKeys();
        _postTestKeys();
        _vote(_same(metric, SEATS));
        vm.assertEq(
            uint256(market.job(jobId).verdict), uint256(metric > baseline_ ? Verdict.PASS : Verdict.FAIL), "verdict"
        );
        _poke();
        if (_state() == State.CLOSED) return;
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        int256 paid = (100 * (int256(metric < threshold ? metric : threshold) - baseline_))
            / (int256(threshold) - baseline_);
        vm.assertEq(_net(workers[0]), paid, "paid");
    }
}
