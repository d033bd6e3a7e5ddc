// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Who pokes is paid a thousandth of what that poke burns (above a quarter of the reserve once there is a winner,
///         which a user and its shill always lose): out of what burns, and never otherwise. In tokens of 18 digits.
contract BountyTest is Base {
    uint256 private constant ONE = 1e18;

    function setUp() public override {
        unit = uint96(ONE);
        super.setUp();
    }

    function _validatorCount() internal pure override returns (uint256) {
        return 11 + 23;
    }

    /// @dev Pokes, and checks to the wei what the poker got and what burned in all.
    function _pokeFor(uint256 bounty, uint256 burned) private {
        uint256 before = market.freeBalance(stranger);
        if (bounty != 0) {
            vm.warp(market.job(jobId).deadline);
            vm.expectEmit(true, true, false, true, address(market));
            emit PokeRewarded(jobId, stranger, uint96(bounty));
        }
        _poke();
        vm.assertEq(market.freeBalance(stranger) - before, bounty, "bounty");
        vm.assertEq(market.burned(), burned, "burned");
        vm.assertEq(market.job(jobId).burned, burned, "burned by the job, less bounties");
    }

    function test_APokeThatBurnsUnopenedBondsIsPaidOutOfThem() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _pokeFor(ONE / 20, 50 * ONE - ONE / 20); // nothing is exempt: the bond of 50
        _checkState(State.AWARDED);
    }

    function test_APokeThatEndsAnAuctionWithoutAWinnerIsPaid() public {
        _toRevealing();
        _pokeFor(ONE / 10, 100 * ONE - ONE / 10);
        _checkClosed(Outcome.NO_BIDS);
    }

    function test_AQuarterOfTheReserveBurnsWhole() public {
        _toAwarded();
        _pokeFor(0, 25 * ONE); // USER_FAULT burns 25, which is the quarter
        _checkClosed(Outcome.USER_FAULT);
    }

    function test_AnAbortThatBurnsExactlyAQuarterPaysNoBounty() public {
        _toKeyed();
        _pokeFor(0, 25 * ONE);
        _checkClosed(Outcome.MUTUAL_ABORT);
    }

    function test_WhatBurnsAboveTheQuarterPaysTheBounty() public {
        _toClaimable();
        _claim();
        uint256 before = vm.snapshotState();
        _pokeFor(0, 0); // an honest end burns nothing
        vm.revertToState(before);
        _inspectAppeal();
        _poke();
        _vote(_same(GOOD, 1)); // and nobody else: ten slashes of 14
        _poke(); // a redraw
        uint256 burned = market.burned();
        vm.assertEq(burned, 0, "so far");
        _poke(); // all eleven silent
        uint256 due = (21 * 14 + 22) * ONE - 2 * ONE; // slashes and the appeal's bond, less two fees beyond the escrow
        due -= (21 * 14 * ONE) / 5; // for audits
        while (_state() != State.CLOSED) {
            uint256 had = market.freeBalance(stranger);
            _poke();
            if (_state() == State.CLOSED) {
                vm.assertEq(market.freeBalance(stranger) - had, (due - 25 * ONE) / 1_000, "the last call's bounty");
            } else {
                vm.assertEq(market.freeBalance(stranger), had, "no other call's");
            }
        }
        vm.assertEq(market.burned(), due - (due - 25 * ONE) / 1_000);
    }

    function test_AClosingActionEarnsNoBounty() public {
        _toKeyed();
        vm.prank(workers[0]);
        market.decline(jobId);
        vm.assertEq(market.burned(), 25 * ONE);
        userSeed = "another";
        _toSeed();
        _poke();
        uint256 before = market.freeBalance(stranger);
        _claim(); // NO_TEST: burns 50
        vm.assertEq(market.freeBalance(stranger), before);
        vm.assertEq(market.burned(), 75 * ONE - (40 * ONE) / 100, "a hundredth of the price is for audits");
    }

    /// @dev The closing event counts what the job burned in all, less both bounties.
    function test_TheClosingEventIsLessAllBounties() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _poke();
        _postKeys();
        _ack();
        _submitModel();
        _poke();
        _poke(); // CLAIMABLE: the worker does not claim either: 25 burn
        _checkClosed(Outcome.WORKER_FAULT);
        vm.assertEq(market.job(jobId).burned, 75 * ONE - ONE / 20);
    }

    /// @dev I22: a user that makes its shill win and lets the job fail loses a quarter of the reserve, its own bounty or
    ///      not, by whatever exit after the award.
    function test_NoExitAfterTheAwardIsCheaperThanAQuarterOfTheReserve() public {
        State[16] memory from;
        for (uint256 i = 0; i < 16; ++i) from[i] = State(i + 1);
        for (uint256 i = 2; i < 16; ++i) {
            uint256 before = vm.snapshotState();
            _to(from[i]);
            if (from[i] == State.INSPECT) {
                vm.revertToState(before); // an honest success
                continue;
            }
            while (_state() != State.CLOSED) _pokeAs(user);
            Outcome outcome = market.job(jobId).outcome;
            if (outcome != Outcome.INCONCLUSIVE) {
                vm.assertTrue(market.burned() >= 25 * ONE, string.concat("state ", vm.toString(uint256(from[i]))));
                vm.assertTrue(_net(user) + _net(workers[0]) <= -25 * int256(ONE), "together they lose a quarter");
            }
            vm.revertToState(before);
        }
    }

    function _pokeAs(address poker) private {
        uint40 deadline = market.job(jobId).deadline;
        if (block.timestamp < deadline) vm.warp(deadline);
        if (_state() == State.DRAWING) vm.roll(market.job(jobId).drawBlock + 1);
        vm.prank(poker);
        market.poke(jobId);
        _checkConserved();
    }

    function testFuzz_ABountyIsAThousandthRoundedDown(uint96 reserve_) public {
        reserve_ = 13.125e18 + reserve_ % (105e18 - 13.125e18 + 1); // what the stakes allow
        Terms memory terms = _terms();
        terms.reserve = reserve_;
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(0, 1, true));
        _commit(_opening(1, 1, true));
        _poke();
        uint256 bonds = 2 * uint256(reserve_ / 2);
        _pokeFor(bonds / 1_000, bonds - bonds / 1_000);
    }
}
