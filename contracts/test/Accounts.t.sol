// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice What the market answers beside its interface.
interface IConstants {
    function token() external view returns (address);
    function trial() external view returns (address);
}

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
            abi.encodeWithSelector(InsufficientBalance.selector, stranger, uint256(PURSE), uint256(PURSE) + 1)
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
        uint32[] memory numbers = new uint32[](3);
        (numbers[0], numbers[1], numbers[2]) = (16, 17, 18);
        vm.prank(stranger);
        vm.expectEmit(true, false, false, true, address(market));
        emit SeatsStaked(stranger, numbers);
        market.stake(3);
        vm.assertEq(market.freeBalance(stranger), PURSE - 3 * STAKE);
        vm.assertEq(market.freeSeats(), 19);
        vm.assertEq(market.seat(18).owner, stranger);
        vm.assertEq(market.seat(19).owner, address(0));
        _checkConserved();
    }

    function test_NoSeatsAndUnpayableSeatsAreRefused() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, "count"));
        market.stake(0);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(InsufficientBalance.selector, stranger, uint256(PURSE), 143 * uint256(STAKE))
        );
        market.stake(143);
    }

    function test_ALeavingSeatWaitsForItsStake() public {
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(SeatNotLeaving.selector, 0));
        market.unstake(0);
        vm.prank(validators[0]);
        market.requestUnstake(0);
        vm.assertEq(market.freeSeats(), 15, "out of the draw at once");
        uint256 freeAt = block.timestamp + 1_000;
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(SeatBonding.selector, 0, freeAt));
        market.requestUnstake(0);
        vm.warp(freeAt - 1);
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(SeatBonding.selector, 0, freeAt));
        market.unstake(0);
        vm.warp(freeAt);
        vm.prank(validators[0]);
        market.unstake(0);
        vm.assertEq(market.freeBalance(validators[0]), PURSE);
        vm.assertEq(market.seatCount(), 15);
        _checkConserved();
        vm.prank(validators[0]);
        vm.expectRevert(abi.encodeWithSelector(SeatNotYours.selector, 0, address(0)));
        market.unstake(0);
    }

    function test_NobodyMovesAnothersSeat() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(SeatNotYours.selector, 0, validators[0]));
        market.requestUnstake(0);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(SeatNotYours.selector, 0, validators[0]));
        market.unstake(0);
    }

    function test_ABusySeatLeavesWhenItsJobLetsGoOfIt() public {
        _toKeying();
        address member = _member(0);
        uint32 seat = market.committee(jobId, 0)[0].seat;
        vm.prank(member);
        market.requestUnstake(seat);
        vm.warp(market.seat(seat).freeAt);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(SeatBusy.selector, seat));
        market.unstake(seat);
        market.poke(jobId);
        vm.assertEq(market.freeSeats(), validators.length - 1, "it does not come back into the draw");
        vm.prank(member);
        market.unstake(seat);
        vm.assertEq(market.freeBalance(member), PURSE);
        _checkConserved();
    }

    function test_LeavingSeatsDoNotHideASilentOneFromItsSlash() public {
        _toVcommit();
        address member = _member(4);
        uint32 seat = market.committee(jobId, 0)[4].seat;
        vm.prank(member);
        market.requestUnstake(seat);
        _vote(_same(BAD, 4));
        _poke();
        _checkClosed(Outcome.REJECTED);
        vm.assertEq(_net(member), -14, "slashed");
    }

    function test_ADissolvedSeatsNumberIsGivenAgainLastFreedFirst() public {
        uint32[2] memory leaving = [uint32(2), 5];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(validators[leaving[i]]);
            market.requestUnstake(leaving[i]);
        }
        vm.warp(block.timestamp + 1_000);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(validators[leaving[i]]);
            market.unstake(leaving[i]);
        }
        vm.assertEq(market.freed().length, 2);
        uint32[] memory numbers = new uint32[](3);
        (numbers[0], numbers[1], numbers[2]) = (5, 2, 16);
        vm.prank(stranger);
        vm.expectEmit(true, false, false, true, address(market));
        emit SeatsStaked(stranger, numbers);
        market.stake(3);
        vm.assertEq(market.nextSeat(), 17, "one new number");
        vm.assertEq(market.freed().length, 0);
        vm.assertEq(market.seat(5).since, block.timestamp, "a new seat under an old number");
    }

    /// @dev The counters say what the seats say, whatever order they come and go in; each number is in use or freed.
    function testFuzz_TheCountersAreTheSeats(uint8[16] memory moves) public {
        for (uint256 i = 0; i < moves.length; ++i) {
            uint32 id = moves[i] % 24;
            Seat memory seat = market.seat(id);
            if (seat.owner == address(0)) {
                vm.prank(validators[i]);
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
        _checkSeats();
    }

    function _checkSeats() private view {
        uint256 numbers = market.nextSeat();
        uint256 free;
        uint256 count;
        for (uint32 id = 0; id < numbers; ++id) {
            Seat memory seat = market.seat(id);
            if (seat.owner == address(0)) continue;
            ++count;
            if (seat.freeAt == 0) ++free;
        }
        vm.assertEq(market.freeSeats(), free);
        vm.assertEq(market.seatCount(), count);
        uint32[] memory freed = market.freed();
        vm.assertEq(freed.length, numbers - count);
        for (uint256 i = 0; i < freed.length; ++i) {
            vm.assertEq(market.seat(freed[i]).owner, address(0));
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(freed[i] != freed[j], "freed once");
            }
        }
    }

    // ---- node records and views

    function test_ANodeRecordIsBounded() public {
        string[] memory addresses = new string[](8);
        addresses[7] = string(new bytes(200));
        vm.expectEmit(true, false, false, true, address(market));
        emit NodePublished(stranger, "encryption", "peer", addresses);
        vm.prank(stranger);
        market.publishNode("encryption", "peer", addresses);
        addresses[7] = string(new bytes(201));
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 201, 200));
        market.publishNode("encryption", "peer", addresses);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 9, 8));
        market.publishNode("encryption", "peer", new string[](9));
    }

    function test_TheTimingIsAsDeployed() public view {
        vm.assertEq(keccak256(abi.encode(market.timing())), keccak256(abi.encode(_timing())));
        vm.assertEq(market.seatStake(), STAKE);
        vm.assertEq(IConstants(address(market)).token(), address(token));
    }

    /// @dev The other half's code is of no use at its own address: no job was ever posted there.
    function test_TheOtherHalfAloneMovesNothing() public {
        _toTallied(GOOD);
        address trial = IConstants(address(market)).trial();
        vm.warp(market.job(jobId).deadline);
        (bool isDone, bytes memory answer) = trial.call(abi.encodeCall(market.poke, (jobId)));
        vm.assertTrue(!isDone, "a poke without a market");
        vm.assertEq(answer, abi.encodeWithSelector(WrongState.selector, jobId, State.NONE), "no such job there");
        _checkState(State.TALLIED);
    }

    /// @dev Whoever pokes and claims in one transaction needs both halves, and stays the caller.
    function test_SeveralCallsAreOneTransactionAllOrNone() public {
        _toTallied(GOOD);
        vm.warp(market.job(jobId).deadline);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.poke, (jobId));
        calls[1] = abi.encodeCall(market.claim, (jobId, Y, MODEL_HASH, keccak256(abi.encode(X)), "another seed"));
        vm.expectPartialRevert(WrongPreimage.selector);
        market.multicall(calls);
        _checkState(State.TALLIED);
        calls[1] = abi.encodeCall(market.claim, (jobId, Y, MODEL_HASH, keccak256(abi.encode(X)), WORKER_SEED));
        market.multicall(calls);
        _checkState(State.INSPECT);
        calls[0] = abi.encodeCall(market.withdraw, (1));
        calls[1] = abi.encodeCall(market.inspectAppeal, (jobId));
        vm.prank(user);
        market.multicall(calls);
        _checkState(State.DRAWING);
        vm.assertEq(token.balanceOf(user), 1);
        _checkConserved();
    }
}
