// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Seats} from "../src/Seats.sol";
import {Base} from "./Base.sol";

/// @notice Money in and out, validators' seats, published node records: what belongs to an account and to no job.
contract AccountsTest is Base {
    // ---- token and ledger

    function test_TheTokensSupplyIsFixedAndTheHolders() public view {
        vm.assertEq(token.totalSupply(), SUPPLY);
        vm.assertEq(token.balanceOf(bank), SUPPLY - uint256(PURSE) * accounts.length);
        vm.assertEq(uint256(token.decimals()), 18);
    }

    function test_ADepositNeedsItsAllowance() public {
        vm.prank(bank);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        market.deposit(1);
        _checkConserved();
    }

    function test_WhatIsFreeCanBeWithdrawnAndNoMore() public {
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IMarket.InsufficientBalance.selector, stranger, uint256(PURSE), uint256(PURSE) + 1)
        );
        market.withdraw(PURSE + 1);
        vm.prank(stranger);
        market.withdraw(PURSE);
        _checkConserved();
        vm.assertEq(token.balanceOf(stranger), PURSE);
        vm.assertEq(market.freeBalance(stranger), 0);
    }

    function _permit(uint256 key, uint96 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        address owner = vm.addr(key);
        bytes32 message = keccak256(
            abi.encode(typeHash, owner, address(market), amount, token.nonces(owner), block.timestamp)
        );
        return vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), message)));
    }

    function _rich(uint256 key) private returns (address owner) {
        owner = vm.addr(key);
        accounts.push(owner);
        vm.prank(bank);
        token.transfer(owner, 100);
    }

    function test_APermitDepositsInOneCall() public {
        address owner = _rich(7);
        (uint8 v, bytes32 r, bytes32 s) = _permit(7, 100);
        vm.prank(owner);
        market.depositWithPermit(100, block.timestamp, v, r, s);
        vm.assertEq(market.freeBalance(owner), 100);
        _checkConserved();
    }

    function test_APermitThatAStrangerUsedFirstStillDeposits() public {
        address owner = _rich(7);
        (uint8 v, bytes32 r, bytes32 s) = _permit(7, 100);
        vm.prank(stranger);
        token.permit(owner, address(market), 100, block.timestamp, v, r, s);
        vm.prank(owner);
        market.depositWithPermit(100, block.timestamp, v, r, s);
        vm.assertEq(market.freeBalance(owner), 100);
    }

    function test_AnothersPermitDepositsNothing() public {
        _rich(7);
        (uint8 v, bytes32 r, bytes32 s) = _permit(7, 100);
        vm.prank(stranger);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        market.depositWithPermit(100, block.timestamp, v, r, s);
    }

    // ---- seats

    function test_ASeatHoldsTheStake() public {
        vm.prank(stranger);
        vm.expectEmit(true, false, false, true, address(market));
        emit IMarket.SeatsStaked(stranger, 7, 3);
        market.stake(3);
        vm.assertEq(market.freeBalance(stranger), PURSE - 3 * STAKE);
        vm.assertEq(market.freeSeats(), 10);
        vm.assertEq(market.seat(9).owner, stranger);
        vm.assertEq(market.seat(10).owner, address(0));
        _checkConserved();
    }

    function test_NoSeatsAndUnpayableSeatsAreRefused() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BadTerms.selector, "count"));
        market.stake(0);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IMarket.InsufficientBalance.selector, stranger, uint256(PURSE), 143 * uint256(STAKE))
        );
        market.stake(143);
    }

    function test_ALeavingSeatWaitsForItsStake() public {
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatNotLeaving.selector, 0));
        market.unstake(0);
        vm.prank(validators[0]);
        market.requestUnstake(0);
        vm.assertEq(market.freeSeats(), 6, "out of the draw at once");
        uint256 freeAt = block.timestamp + 1_000;
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatBonding.selector, 0, freeAt));
        market.requestUnstake(0);
        vm.warp(freeAt - 1);
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatBonding.selector, 0, freeAt));
        market.unstake(0);
        vm.warp(freeAt);
        vm.prank(validators[0]);
        market.unstake(0);
        vm.assertEq(market.freeBalance(validators[0]), PURSE);
        vm.assertEq(market.seatCount(), 6);
        _checkConserved();
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatNotYours.selector, 0, address(0)));
        market.unstake(0);
    }

    function test_NobodyMovesAnothersSeat() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatNotYours.selector, 0, validators[0]));
        market.requestUnstake(0);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatNotYours.selector, 0, validators[0]));
        market.unstake(0);
    }

    function test_ABusySeatLeavesWhenItsJobLetsGoOfIt() public {
        _toKeying();
        address member = _member(0);
        uint32 seat = market.committee(jobId)[0].seat;
        vm.prank(member);
        market.requestUnstake(seat);
        vm.warp(market.seat(seat).freeAt);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeatBusy.selector, seat));
        market.unstake(seat);
        market.poke(jobId);
        vm.assertEq(market.freeSeats(), VALIDATORS - 1, "it does not come back into the draw");
        vm.prank(member);
        market.unstake(seat);
        vm.assertEq(market.freeBalance(member), PURSE);
        _checkConserved();
    }

    function test_LeavingSeatsDoNotHideASilentOneFromItsSlash() public {
        _toVcommit();
        address member = _member(0);
        uint32 seat = market.committee(jobId)[0].seat;
        vm.prank(member);
        market.requestUnstake(seat);
        _poke();
        vm.assertEq(_net(member), -14, "slashed");
    }

    /// @dev The free list stays a set of the free seats, whatever order they come and go in.
    function testFuzz_TheFreeListIsASet(uint8[16] memory moves) public {
        for (uint256 i = 0; i < moves.length; ++i) {
            uint32 id = moves[i] % 24;
            Seats.Seat memory seat = market.seat(id);
            if (seat.owner == address(0)) {
                vm.prank(validators[i % VALIDATORS]);
                market.stake(1 + (moves[i] >> 6));
            } else if (seat.freeAt == 0) {
                vm.prank(seat.owner);
                market.requestUnstake(id);
            } else {
                vm.warp(block.timestamp + 1_000);
                vm.prank(seat.owner);
                market.unstake(id);
            }
            _checkConserved();
        }
        uint32[] memory free = market.freeList();
        uint256 wanted;
        for (uint32 id = 0; id < 80; ++id) {
            Seats.Seat memory seat = market.seat(id);
            if (seat.owner != address(0) && seat.freeAt == 0) ++wanted;
        }
        vm.assertEq(free.length, wanted);
        for (uint256 i = 0; i < free.length; ++i) {
            vm.assertTrue(market.seat(free[i]).owner != address(0) && market.seat(free[i]).freeAt == 0, "is free");
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(free[i] != free[j], "once");
            }
        }
    }

    // ---- node records and views

    function test_ANodeRecordIsBounded() public {
        string[] memory addresses = new string[](8);
        addresses[7] = string(new bytes(200));
        vm.expectEmit(true, false, false, true, address(market));
        emit IMarket.NodePublished(stranger, "encryption", "peer", addresses);
        vm.prank(stranger);
        market.publishNode("encryption", "peer", addresses);
        addresses[7] = string(new bytes(201));
        vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 201, 200));
        market.publishNode("encryption", "peer", addresses);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 9, 8));
        market.publishNode("encryption", "peer", new string[](9));
    }

    function test_TheTimingIsAsDeployed() public view {
        vm.assertEq(keccak256(abi.encode(market.timing())), keccak256(abi.encode(_timing())));
        vm.assertEq(market.seatStake(), STAKE);
        vm.assertEq(address(market.token()), address(token));
    }
}
