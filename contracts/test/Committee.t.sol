// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Model commitment, seed, draw, keys (PROTOCOL.md 2.1, 5.2).
contract CommitteeTest is Base {
    // ---- model and seed

    /// @dev The bid's commitment comes out of the share again, and of nothing else.
    function test_TheModelComesWithTheSeedShareThatTheBidCommittedTo() public {
        _toTraining();
        Opening memory wrong = _opening(0, 30, true);
        wrong.salt = keccak256(abi.encode(bytes32("another")));
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _bidHash(wrong)));
        market.submitModel(jobId, "m", "x", "y", "another", "");
    }

    /// @dev A dethroned bid's share, though the winner's own and opened, is not the winning bid's.
    function test_AnotherOfTheWinnersOwnSharesIsRefused() public {
        _toBidding();
        Opening memory dethroned = _opening(0, 30, true);
        dethroned.salt = keccak256(abi.encode(bytes32("dethroned")));
        _commit(dethroned);
        _commit(_opening(0, 20, true));
        _poke();
        _reveal(dethroned);
        _reveal(_opening(0, 20, true));
        _postKeys();
        _ack();
        vm.prank(workers[0]);
        vm.expectPartialRevert(UnknownCommitment.selector);
        market.submitModel(jobId, "m", "x", "y", "dethroned", "");
        _submitModel();
        _checkState(State.SEED);
    }

    function test_AManifestIsBounded() public {
        _toTraining();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 8193, 8192));
        market.submitModel(jobId, "m", "x", "y", WORKER_SEED, new bytes(8193));
    }

    function test_TheSeedWaitsForItsBlock() public {
        _toTraining();
        _submitModel();
        uint256 drawBlock = block.number + 2;
        vm.assertEq(market.job(jobId).drawBlock, drawBlock);
        vm.roll(drawBlock);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(SeedBlockPending.selector, drawBlock, drawBlock));
        market.revealSeed(jobId, USER_SEED, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), _model());
        vm.roll(drawBlock + 1);
        _revealSeed();
        _checkState(State.KEYING);
    }

    function test_AnotherSeedThanTheCommittedIsRefused() public {
        _toSeed();
        vm.prank(user);
        vm.expectRevert(_wrongSecrets("another", TRAIN_KEYS, TEST_KEYS));
        market.revealSeed(jobId, "another", keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), _model());
        vm.prank(user);
        vm.expectRevert(_wrongSecrets(USER_SEED, TEST_KEYS, TRAIN_KEYS));
        market.revealSeed(jobId, USER_SEED, keccak256(TEST_KEYS), keccak256(TRAIN_KEYS), _model());
    }

    /// @dev The worker's share goes into the seed: the user must not bring one of its own choice.
    function test_AnotherWorkersShareThanTheSubmittedIsRefused() public {
        _toSeed();
        bytes32 wanted = _modelRoot(_model());
        vm.assertEq(market.job(jobId).model, wanted);
        ModelRoot memory wrong = _model();
        wrong.workerSeed = "another";
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(WrongPreimage.selector, wanted, _modelRoot(wrong)));
        market.revealSeed(jobId, USER_SEED, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), wrong);
    }

    /// @dev The seed's block is the same one for 256 blocks, and then the next at that distance: never an unknown hash.
    function testFuzz_ALateSeedStillHasABlockHash(uint16 wait) public {
        _toSeed();
        uint256 drawBlock = market.job(jobId).drawBlock;
        uint256 now_ = drawBlock + 1 + (uint256(wait) % 1_000);
        vm.roll(now_);
        uint256 used = drawBlock;
        while (used + 256 < now_) used += 256;
        bytes32 hash = blockhash(used);
        vm.assertTrue(hash != 0, "the EVM knows this hash");
        bytes32 seed = keccak256(abi.encode(USER_SEED, WORKER_SEED, hash, jobId));
        address[] memory wanted = _mirror(seed);
        vm.expectEmit(true, false, false, true, address(market));
        emit CommitteeDrawn(jobId, 0, seed, wanted);
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), _model());
    }

    /// @dev The rule of the first draw, in memory.
    function _mirror(bytes32 seed) private view returns (address[] memory drawn) {
        Job memory job = market.job(jobId);
        address[] memory found = new address[](job.seats);
        uint256 count;
        for (uint256 attempt = 0; attempt < 512 && count < job.seats; ++attempt) {
            uint32 number = uint32(uint256(keccak256(abi.encode(seed, uint8(0), attempt))) % job.seatSpan);
            Seat memory seat = market.seat(number);
            bool maySit = seat.owner != address(0) && !seat.isBusy && seat.freeAt == 0 && seat.since < job.postedAt
                && seat.owner != job.user && seat.owner != job.winner;
            for (uint256 p = 0; p < count; ++p) {
                if (found[p] == seat.owner) maySit = false;
            }
            if (maySit) found[count++] = seat.owner;
        }
        if (count != 0 && count % 2 == 0) --count;
        drawn = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            drawn[i] = found[i];
        }
    }

    // ---- draw

    function test_NoPartyAndNobodyTwiceSitsOnACommittee() public {
        _stake(user, 20);
        _stake(workers[0], 20);
        _stake(validators[0], 20);
        _toKeying();
        Member[] memory members = market.committee(jobId, 0);
        vm.assertEq(members.length, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertTrue(members[i].validator != user && members[i].validator != workers[0], "I20");
            vm.assertEq(market.seat(members[i].seat).owner, members[i].validator);
            vm.assertTrue(market.seat(members[i].seat).isBusy, "held");
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(members[i].validator != members[j].validator, "I20");
            }
        }
        vm.assertEq(market.freeSeats(), validators.length + 60 - SEATS);
    }

    function _leave(uint256 from, uint256 to) private {
        for (uint256 i = from; i < to; ++i) {
            vm.prank(validators[i]);
            market.requestUnstake(uint32(i));
        }
    }

    /// @dev Neither under a number of the posting's time, nor under a new one.
    function test_SeatsStakedInTheSecondOfThePostingDoNotServe() public {
        _leave(0, 1);
        vm.warp(block.timestamp + 1_000);
        vm.prank(validators[0]);
        market.unstake(0);
        _leave(1, 11); // five are left
        vm.prank(stranger);
        market.stake(20); // in the same second as the posting
        vm.assertEq(market.seat(0).owner, stranger);
        _toKeying();
        Member[] memory members = market.committee(jobId, 0);
        vm.assertEq(members.length, 5);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertTrue(members[i].validator != stranger, "staked too late");
        }
        vm.assertEq(market.freeSeats(), 20);
        vm.assertEq(market.busySeats(), 5);
    }

    /// @dev Nobody makes others' committees smaller by staking after the posting.
    function test_NumbersGivenAfterThePostingTakeNoAttempts() public {
        _toSeed();
        vm.assertEq(market.job(jobId).seatSpan, 16);
        _stake(stranger, 100);
        bytes32 seed = keccak256(abi.encode(USER_SEED, WORKER_SEED, blockhash(market.job(jobId).drawBlock), jobId));
        address[] memory wanted = _mirror(seed);
        _revealSeed();
        vm.assertEq(market.committee(jobId, 0).length, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertEq(_member(i), wanted[i]);
        }
    }

    /// @dev I22: who owns the seats, and takes them away, must not have a way out of its job for nothing.
    function test_WithoutAnyEligibleSeatBothPartiesAreFined() public {
        _toSeed();
        _leave(0, 16);
        _revealSeed();
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
        vm.assertEq(market.freeSeats(), 0);
    }

    /// @dev A draw that misses says nothing about the next.
    function test_WhereSeatsAreFreeADrawIsMadeAgain() public {
        _stake(user, 16); // which may not sit
        _leave(0, 16);
        _toSeed();
        _revealSeed();
        for (uint256 i = 1; i <= 5; ++i) {
            _checkState(State.DRAWING);
            _poke();
        }
        _checkState(State.DRAWING);
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    function test_ABusySeatIsNotDrawnAgain() public {
        _addValidators(SEATS);
        _toKeying();
        bytes32 first = jobId;
        userSeed = "second";
        vm.assertEq(market.freeSeats(), 16);
        _toKeying();
        Member[] memory others = market.committee(first, 0);
        for (uint256 i = 0; i < SEATS; ++i) {
            for (uint256 j = 0; j < SEATS; ++j) {
                vm.assertTrue(_member(i) != others[j].validator, "one seat, two jobs");
            }
        }
        userSeed = "third";
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 11, 16));
        market.post(_terms(), "");
    }

    function testFuzz_ADrawMakesItsSeatsBusyAndNothingElse(uint32 height, uint8 extra) public {
        vm.roll(1_000 + uint256(height)); // another block, another hash, another draw
        for (uint256 i = 0; i < 8; ++i) {
            _stake(validators[i], uint16(1 + (uint256(extra) + i) % 4));
        }
        uint256 before = market.freeSeats();
        _toSeed();
        bytes32 seed = keccak256(abi.encode(USER_SEED, WORKER_SEED, blockhash(market.job(jobId).drawBlock), jobId));
        address[] memory wanted = _mirror(seed);
        _revealSeed();
        vm.assertEq(market.freeSeats(), before - SEATS);
        uint256 busy;
        for (uint32 i = 0; i < market.nextSeat(); ++i) {
            if (market.seat(i).isBusy) ++busy;
        }
        vm.assertEq(busy, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertEq(_member(i), wanted[i]);
        }
    }

    // ---- keys

    function test_ThereIsOneBoundedBoxForEachSeat() public {
        _toKeying();
        bytes[] memory boxes = _boxes(SEATS);
        boxes[4] = new bytes(513);
        for (uint256 side = 0; side < 2; ++side) {
            address caller = side == 0 ? user : workers[0];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(WrongBoxCount.selector, 4, 5));
            side == 0 ? market.postTestKeys(jobId, _boxes(4)) : market.postModelKeys(jobId, _boxes(4));
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 513, 512));
            side == 0 ? market.postTestKeys(jobId, boxes) : market.postModelKeys(jobId, boxes);
        }
    }

    function test_TheWinnersBoxIsBounded() public {
        _toAwarded();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 1089, 1088));
        market.postKeys(jobId, new bytes(1089));
        vm.prank(user);
        market.postKeys(jobId, new bytes(512));
    }

    function test_KeysAreHandedOverOnceInEitherOrder() public {
        for (uint256 first = 0; first < 2; ++first) {
            uint256 before = vm.snapshotState();
            _toKeying();
            first == 0 ? _postTestKeys() : _postModelKeys();
            address caller = first == 0 ? user : workers[0];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, caller));
            first == 0 ? market.postTestKeys(jobId, _boxes(5)) : market.postModelKeys(jobId, _boxes(5));
            first == 0 ? _postModelKeys() : _postTestKeys();
            _checkState(State.VCOMMIT);
            vm.revertToState(before);
        }
    }
}
