// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice PROTOCOL.md D9: whoever is entitled to a key and did not get it makes its owner publish it. Each of the three
///         disputes (training keys, x, the committee's keys) with what ends it, and who pays if nobody does.
contract DisputesTest is Base {
    bytes32 private immutable seedHash = keccak256(abi.encode(USER_SEED));
    bytes32 private immutable yHash = keccak256(abi.encode(Y));

    // ---- the winner without training keys

    function test_AWinnerWithoutKeysMakesTheUserPublishThem() public {
        _toKeyDispute();
        vm.assertTrue(!market.job(jobId).isKeyPublic, "not yet");
        vm.expectEmit(true, false, false, true, address(market));
        emit KeyDisclosed(jobId, TRAIN_KEYS);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.KEYED, uint40(block.timestamp + 13));
        _discloseKey();
        vm.assertTrue(market.job(jobId).isKeyPublic, "public");
        _ack();
        _checkState(State.TRAINING);
    }

    /// @dev PROTOCOL.md 5.6, defect 1.
    function test_AKeyIsDemandedOnce() public {
        _toKeyDispute();
        _discloseKey();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainKey(jobId);
    }

    function test_OnlyTheCommittedTrainingKeysAreADisclosure() public {
        _toKeyDispute();
        vm.prank(user);
        vm.expectRevert(_wrongSecrets(USER_SEED, TEST_KEYS, TEST_KEYS));
        market.discloseKey(jobId, TEST_KEYS, seedHash, keccak256(TEST_KEYS));
        vm.prank(user); // the right preimage, a wrong sibling
        vm.expectRevert(_wrongSecrets(USER_SEED, TRAIN_KEYS, TRAIN_KEYS));
        market.discloseKey(jobId, TRAIN_KEYS, seedHash, keccak256(TRAIN_KEYS));
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 1089, 1088));
        market.discloseKey(jobId, new bytes(1089), seedHash, keccak256(TEST_KEYS));
    }

    function test_AUserThatPublishesNoTrainingKeyIsAtFault() public {
        _toKeyDispute();
        _poke();
        _checkClosed(Outcome.USER_FAULT);
        _checkNet(-50, 25, 25);
    }

    /// @dev Its job is over as soon as it declines, dispute or not: a disclosure does not bind the winner.
    function test_AfterADisclosureTheWinnerMayStillDecline() public {
        _toKeyDispute();
        _discloseKey();
        vm.prank(workers[0]);
        market.decline(jobId);
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
    }

    // ---- the user without x

    function test_AUserWithoutXMakesTheWinnerPublishIt() public {
        _toXDispute();
        vm.expectEmit(true, false, false, true, address(market));
        emit XDisclosed(jobId, X);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.KEYING, uint40(block.timestamp + 16));
        _discloseX();
        vm.assertTrue(market.job(jobId).isXPublic, "public");
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainX(jobId);
    }

    function test_TheWinnersOwnKeysOutlastADisputeOfX() public {
        _toKeying();
        _postModelKeys();
        _complainX();
        _discloseX();
        vm.assertTrue(market.job(jobId).isWorkerKeyed, "they stay");
        _postTestKeys();
        _checkState(State.VCOMMIT);
    }

    /// @dev By handing on its own keys the user says that it has what it needs.
    function test_AUserThatKeyedTheCommitteeDemandsXNoMore() public {
        _toKeying();
        _postTestKeys();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, user));
        market.complainX(jobId);
    }

    function test_OnlyTheCommittedXIsADisclosure() public {
        _toXDispute();
        ModelRoot memory wrong = _model();
        wrong.xHash = keccak256(abi.encode(bytes32("z")));
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(WrongPreimage.selector, _modelRoot(_model()), _modelRoot(wrong)));
        market.discloseX(jobId, "z", MODEL_HASH, yHash, WORKER_SEED);
    }

    /// @dev 5.6, defect 7: the committee did nothing wrong, and nothing becomes of it.
    function test_AWinnerThatPublishesNoXIsAtFaultAndNobodyElse() public {
        _toXDispute();
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkVerdict(Verdict.NO_MODEL);
        vm.assertTrue(market.job(jobId).isAborted, "aborted");
        _checkNet(25, -50, 25);
        _checkRound(0, _all(0));
        vm.assertEq(market.freeSeats(), validators.length);
    }

    // ---- validators without keys

    function test_AValidatorWithoutKeysNamesTheSideThatOwesThem() public {
        for (uint256 side = 0; side < 2; ++side) {
            uint256 before = vm.snapshotState();
            _toVcommit();
            address member = _member(3);
            vm.expectEmit(true, true, false, true, address(market));
            emit KeysComplained(jobId, member, side == 0);
            vm.expectEmit(true, false, false, true, address(market));
            emit StateChanged(jobId, State.DISCLOSE, uint40(block.timestamp + 14));
            vm.prank(member);
            market.complainKeys(jobId, side == 0);
            vm.assertTrue(market.job(jobId).isUserAccused == (side == 0), "accused");
            vm.revertToState(before);
        }
    }

    function test_TestKeysInClearSaveTheUser() public {
        _toDisclose(true);
        vm.expectEmit(true, false, false, true, address(market));
        emit TestKeysDisclosed(jobId, TEST_KEYS);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.VCOMMIT, uint40(block.timestamp + 30));
        _discloseTest();
        vm.assertTrue(market.job(jobId).isTestPublic && !market.job(jobId).isModelPublic, "public");
    }

    function test_ModelKeysInClearSaveTheWinnerAndAreNoClaim() public {
        _toDisclose(false);
        vm.expectEmit(true, false, false, true, address(market));
        emit ModelKeysDisclosed(jobId, X, Y);
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.VCOMMIT, uint40(block.timestamp + 30));
        _discloseModel();
        Job memory job = market.job(jobId);
        vm.assertTrue(job.isModelPublic && job.isXPublic && !job.isTestPublic && !job.isClaimed, "public, not claimed");
        _vote(_same(GOOD, SEATS));
        _poke();
        _checkState(State.CLAIMABLE);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
    }

    /// @dev What was tested without a key is not what is tested with it.
    function test_ADisclosureClearsTheRoundsCommitments() public {
        _toVcommit();
        for (uint256 i = 0; i < 4; ++i) {
            _commitReport(_report(i, NO_TEST, 0));
        }
        _complainKeys(4, true);
        _discloseTest();
        Member[] memory members = market.committee(jobId, 0);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertTrue(!members[i].isCommitted, "cleared");
        }
        _vote(_same(GOOD, SEATS));
        _checkVerdict(Verdict.PASS);
    }

    /// @dev One who has committed may still find that another key is missing.
    function test_WhoHasCommittedMayStillComplain() public {
        _toVcommit();
        _commitReport(_report(0, NO_MODEL, 0));
        _complainKeys(0, false);
        _checkState(State.DISCLOSE);
    }

    function test_EachSideIsAccusedOnceInAJob() public {
        _toDisclose(true);
        _discloseTest();
        _complainKeys(1, false);
        _discloseModel();
        for (uint256 side = 0; side < 2; ++side) {
            vm.prank(_member(2));
            vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
            market.complainKeys(jobId, side == 0);
        }
        _vote(_same(GOOD, SEATS));
        _appeal(stranger);
        _poke();
        vm.prank(_member(0)); // nor by a later round
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainKeys(jobId, true);
    }

    function test_OneSidesKeysDoNotSaveTheOther() public {
        _toDisclose(true);
        vm.expectRevert(abi.encodeWithSelector(WrongAccused.selector, jobId));
        market.discloseModel(jobId, X, Y, MODEL_HASH, WORKER_SEED);
        _discloseTest();
        _complainKeys(1, false);
        vm.expectRevert(abi.encodeWithSelector(WrongAccused.selector, jobId));
        market.discloseTest(jobId, TEST_KEYS, seedHash, keccak256(TRAIN_KEYS));
    }

    function test_OnlyTheCommittedTestKeysAreADisclosure() public {
        _toDisclose(true);
        vm.expectRevert(_wrongSecrets(USER_SEED, TRAIN_KEYS, TRAIN_KEYS));
        market.discloseTest(jobId, TRAIN_KEYS, seedHash, keccak256(TRAIN_KEYS));
        vm.expectRevert(_wrongSecrets("another", TRAIN_KEYS, TEST_KEYS));
        market.discloseTest(jobId, TEST_KEYS, keccak256(abi.encode(bytes32("another"))), keccak256(TRAIN_KEYS));
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 1089, 1088));
        market.discloseTest(jobId, new bytes(1089), seedHash, keccak256(TRAIN_KEYS));
    }

    function test_OnlyTheCommittedHalvesAreADisclosure() public {
        _toDisclose(false);
        ModelRoot memory wrong = _model();
        (wrong.xHash, wrong.yHash) = (wrong.yHash, wrong.xHash);
        vm.expectRevert(abi.encodeWithSelector(WrongPreimage.selector, _modelRoot(_model()), _modelRoot(wrong)));
        market.discloseModel(jobId, Y, X, MODEL_HASH, WORKER_SEED);
        wrong = _model();
        wrong.yHash = keccak256(abi.encode(bytes32(0)));
        vm.expectRevert(abi.encodeWithSelector(WrongPreimage.selector, _modelRoot(_model()), _modelRoot(wrong)));
        market.discloseModel(jobId, X, 0, MODEL_HASH, WORKER_SEED);
    }

    function test_AUserThatPublishesNoTestKeysPaysThePriceAndItsBond() public {
        _toDisclose(true);
        _poke();
        _checkState(State.CLAIMABLE);
        _checkVerdict(Verdict.NO_TEST);
        _claim();
        _checkClosed(Outcome.PAID);
        _checkNet(-90, 40, 50);
        _checkRound(0, _all(0));
    }

    function test_AWinnerThatPublishesNoModelKeysIsAtFault() public {
        _toDisclose(false);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkNet(25, -50, 25);
        _checkRound(0, _all(0));
    }

    /// @dev I18: whatever the accused's round had committed to is void, and so is its silence.
    function test_NoValidatorOfAnAbortedRoundIsSlashed() public {
        _toVcommit();
        _commitReport(_report(1, GOOD, PRINT));
        _complainKeys(0, false);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        _checkRound(0, _all(0));
        vm.assertEq(market.freeSeats(), validators.length);
    }

    function test_WhoIsOfAnotherRoundCannotComplain() public {
        _toSecondRound(GOOD);
        address early = _member(0, 0);
        vm.prank(early);
        vm.expectRevert(abi.encodeWithSelector(NotOnCommittee.selector, early));
        market.complainKeys(jobId, true);
    }

    // ---- privacy=public

    /// @dev The user's keys are public from the start: nobody can hold the user up for them; all else is as ever.
    function test_APublicJobsKeysAreNeverDemanded() public {
        options = 1;
        _toKeyed();
        vm.assertTrue(market.job(jobId).isKeyPublic && market.job(jobId).isTestPublic, "public");
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainKey(jobId);
        _ack();
        _submitModel();
        vm.roll(block.number + 3);
        _revealSeed();
        _postModelKeys();
        _postTestKeys();
        vm.prank(_member(0));
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainKeys(jobId, true);
        _complainKeys(0, false); // the model is not public
        _discloseModel();
        _vote(_same(GOOD, SEATS));
        _poke();
        _claim();
        _poke();
        _checkNet(-50, 40, 0);
    }
}
