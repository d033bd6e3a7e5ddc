// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Base} from "./Base.sol";
import {Cheats} from "./Cheats.sol";

/// @notice The fourteen faults of Morphware's first contracts (PROTOCOL.md 1.8, by its numbers), each forbidden here:
///         theirs would fail every one of these tests.
contract RegressionTest is Base {
    function test_1_NoBidIsShownByItsBondOrItsEvent() public {
        _toBidding();
        uint256[2] memory bonds;
        uint256[2] memory sizes;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = market.freeBalance(workers[0]);
            vm.recordLogs();
            _commit(i == 0 ? _opening(0, 1, true) : _opening(0, type(uint96).max, false));
            bonds[i] = before - market.freeBalance(workers[0]);
            sizes[i] = vm.getRecordedLogs()[0].data.length;
        }
        vm.assertEq(bonds[0], bonds[1], "the same bond for any price, and for a decoy");
        vm.assertEq(sizes[0], sizes[1], "and the same event");
    }

    function test_2_NoDearerBidWins() public {
        _toAwarded();
        vm.assertEq(market.job(jobId).winner, workers[0]);
        vm.assertEq(market.job(jobId).price, 40);
    }

    function test_3_NoBidBetweenFirstAndSecondIsDropped() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(1, 80, true));
        _commit(_opening(2, 40, true));
        _poke();
        _reveal(_opening(0, 30, true));
        _reveal(_opening(1, 80, true));
        _reveal(_opening(2, 40, true));
        vm.assertEq(market.job(jobId).price, 40);
    }

    function test_4_NoLonelyBidderWorksForNothing() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        vm.assertEq(market.job(jobId).price, RESERVE);
    }

    function test_5_NobodyIsPaidWithoutAVerdict() public {
        _toTraining();
        vm.expectRevert(abi.encodeWithSelector(WrongState.selector, jobId, State.TRAINING));
        market.claim(jobId, Y, MODEL_HASH, keccak256(abi.encode(X)), WORKER_SEED);
        vm.warp(block.timestamp + 60);
        market.poke(jobId);
        _checkClosed(Outcome.WORKER_FAULT);
    }

    function test_6_NoSingleApprovalIsAVerdictAndNoWorkOfValidatorsIsUnpaid() public {
        _toVcommit();
        _vote(_same(GOOD, 1));
        _checkState(State.DRAWING);
        _checkVerdict(Verdict.NONE);
        _poke();
        _vote(_same(GOOD, 3));
        _checkVerdict(Verdict.PASS);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(_member(0, 0)), 2, "the one that had worked is paid, too");
        vm.assertEq(_net(_member(1, 0)), 2, "and the others");
        vm.assertEq(_net(stranger), 0, "who is not on the committee");
    }

    function test_7_NoSilentPartyFreezesAJobInAnyState() public {
        for (uint256 state = uint256(State.BIDDING); state < uint256(State.CLOSED); ++state) {
            uint256 before = vm.snapshotState();
            _to(State(state));
            for (uint256 pokes = 0; _state() != State.CLOSED; ++pokes) {
                vm.assertTrue(pokes < 5, "too many pokes");
                _poke();
            }
            vm.revertToState(before);
        }
    }

    function test_8_NoUnopenedDepositIsStuck() public {
        _toRevealing();
        _poke();
        vm.assertEq(market.job(jobId).held, 0, "burned, and counted");
        vm.assertEq(market.burned(), 100);
    }

    function test_9_NoSecondBidLosesADeposit() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(0, 50, true));
        _commit(_opening(1, 40, true));
        _poke();
        _reveal(_opening(0, 50, true));
        _reveal(_opening(1, 40, true));
        _reveal(_opening(0, 30, true));
        vm.assertEq(_net(workers[0]), -50, "one bond of two came back, one is the winner's");
    }

    function test_10_NobodySpendsAnothersAllowance() public {
        vm.prank(bank);
        token.approve(address(market), 1_000);
        vm.prank(stranger);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        market.deposit(1_000);
        vm.assertEq(market.freeBalance(bank), 0);
    }

    /// @dev Links to ciphertext may be public. What opens it is in no event before its owner discloses it.
    function test_11_NoKeyIsInAnyEventOfAnHonestJob() public {
        vm.recordLogs();
        _toClaimable();
        Cheats.Log[] memory logs = vm.getRecordedLogs();
        bytes32[6] memory secrets = [_half(TRAIN_KEYS, 0), _half(TRAIN_KEYS, 1), _half(TEST_KEYS, 0), _half(TEST_KEYS, 1), X, Y];
        for (uint256 i = 0; i < logs.length; ++i) {
            for (uint256 j = 0; j < 6; ++j) {
                vm.assertTrue(!_holds(logs[i].data, secrets[j]), "a secret");
            }
        }
        vm.assertTrue(logs.length > 20, "that was a whole job");
    }

    function _half(bytes memory keys_, uint256 index) private pure returns (bytes32 word) {
        assembly {
            word := mload(add(add(keys_, 32), mul(32, index)))
        }
    }

    function _holds(bytes memory data, bytes32 word) private pure returns (bool isFound) {
        for (uint256 i = 0; i + 32 <= data.length && !isFound; ++i) {
            assembly {
                isFound := eq(mload(add(add(data, 32), i)), word)
            }
        }
    }

    /// @dev Each of the two shares, and the block after the model, alone makes another committee's seed.
    function test_12_NoCommitteeFollowsFromAJobsNumber() public {
        bytes32[4] memory seeds;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 before = vm.snapshotState();
            if (i == 1) userSeed = "another share of the user's";
            if (i == 2) vm.roll(block.number + 1);
            _toBidding();
            Opening memory opening = _opening(0, 30, true);
            ModelRoot memory model = _model();
            if (i == 3) model.workerSeed = "another share of the worker's";
            opening.salt = keccak256(abi.encode(model.workerSeed));
            _commit(opening);
            _poke();
            _reveal(opening);
            _postKeys();
            _ack();
            vm.prank(workers[0]);
            market.submitModel(jobId, model.modelHash, model.xHash, model.yHash, model.workerSeed, "");
            vm.roll(block.number + 3);
            vm.recordLogs();
            vm.prank(user);
            market.revealSeed(jobId, userSeed, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), model);
            (, seeds[i],) = abi.decode(vm.getRecordedLogs()[0].data, (uint8, bytes32, address[]));
            vm.revertToState(before);
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(seeds[i] != seeds[j], "the same seed");
            }
        }
    }

    function test_13_NoInstantIsBetweenTheActionAndThePoke() public {
        _toKeyed();
        uint256 deadline = market.job(jobId).deadline;
        vm.warp(deadline);
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(TooLate.selector, jobId, deadline, deadline));
        market.ack(jobId);
        market.poke(jobId);
        _checkClosed(Outcome.MUTUAL_ABORT);
    }

    function test_14_NoTokenThatReturnsFalseIsBelieved() public {
        FalseToken false_ = new FalseToken();
        address other = _deploy("Market", abi.encode(false_, STAKE, _timing()));
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", false_));
        IMarket(other).deposit(1);
        vm.assertEq(IMarket(other).freeBalance(address(this)), 0);
    }
}

contract FalseToken {
    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}
