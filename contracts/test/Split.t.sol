// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice `split=protocol`: the data is sealed in chunks, and a block after the award picks the ones that test the model.
contract SplitTest is Base {
    bytes32 private constant CODE_KEY = "the code's key";
    bytes32 private immutable seedHash = keccak256(abi.encode(USER_SEED));

    uint256 private chunks = 5;
    uint256 private tests = 2;

    function setUp() public override {
        super.setUp();
        options = 4;
        _commitTo(chunks, tests);
    }

    function _commitTo(uint256 chunks_, uint256 tests_) private {
        (chunks, tests) = (chunks_, tests_);
        trainKeyHash = keccak256(abi.encode(CODE_KEY));
        testKeyHash = bytes32(tests);
        for (uint256 i = 0; i < chunks; ++i) {
            testKeyHash = keccak256(abi.encode(testKeyHash, keccak256(abi.encode(_key(i)))));
        }
    }

    function _key(uint256 chunk) private pure returns (bytes32) {
        return keccak256(abi.encode("key of chunk", chunk));
    }

    /// @dev The split's seed, by the rule, for the block that the award named.
    function _seedNow() private view returns (bytes32) {
        uint256 drawBlock = market.job(jobId).drawBlock;
        uint256 latest = block.number - 1;
        return keccak256(abi.encode(blockhash(latest - (latest - drawBlock) % 256), jobId));
    }

    /// @dev Which chunks test the model: as many different ones as were asked for, by words of the seed.
    function _tested(bytes32 seed) private view returns (bool[] memory isTested) {
        isTested = new bool[](chunks);
        uint256 picked;
        for (uint256 attempt = 0; picked < tests; ++attempt) {
            uint256 chunk = uint256(keccak256(abi.encode(seed, attempt))) % chunks;
            if (isTested[chunk]) continue;
            isTested[chunk] = true;
            ++picked;
        }
    }

    function _words(bool[] memory isShown) private view returns (bytes memory words) {
        words = abi.encode(tests);
        for (uint256 i = 0; i < chunks; ++i) {
            bytes32 key = _key(i);
            words = abi.encodePacked(words, isShown[i] ? key : keccak256(abi.encode(key)));
        }
        words = abi.encodePacked(words, CODE_KEY);
    }

    function _not(bool[] memory flags) private pure returns (bool[] memory others) {
        others = new bool[](flags.length);
        for (uint256 i = 0; i < flags.length; ++i) {
            others[i] = !flags[i];
        }
    }

    /// @dev AWARDED, with the testing chunks drawn.
    function _toDrawn() private returns (bytes32 seed) {
        _toAwarded();
        vm.roll(block.number + 3);
        seed = _seedNow();
        vm.prank(stranger);
        market.drawSplit(jobId);
    }

    function _toSplitDispute() private returns (bool[] memory isTested) {
        isTested = _tested(_toDrawn());
        _postKeys();
        _complainKey();
    }

    function _disclose(bytes memory words) private {
        vm.prank(user);
        market.discloseKey(jobId, words, seedHash, 0);
        _checkConserved();
    }

    function test_AnybodyDrawsTheSplitOnceTheBlockIsThere() public {
        _toAwarded();
        uint256 drawBlock = block.number + 2;
        vm.assertEq(market.job(jobId).drawBlock, drawBlock);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(SeedBlockPending.selector, drawBlock, block.number));
        market.drawSplit(jobId);
        vm.roll(drawBlock);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(SeedBlockPending.selector, drawBlock, drawBlock));
        market.drawSplit(jobId);
        vm.roll(drawBlock + 1);
        vm.expectEmit(true, false, false, true, address(market));
        emit SplitDrawn(jobId, keccak256(abi.encode(blockhash(drawBlock), jobId)));
        vm.prank(stranger);
        market.drawSplit(jobId);
        _checkState(State.AWARDED);
    }

    function test_ASplitIsDrawnOnce() public {
        _toDrawn();
        vm.roll(block.number + 300);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, user));
        market.drawSplit(jobId);
    }

    function test_AJobWithoutSplitHasNothingToDraw() public {
        options = 0;
        _toAwarded();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, user));
        market.drawSplit(jobId);
    }

    function test_OnlyAnAwardedJobIsSplit() public {
        _toRevealing();
        vm.expectRevert(abi.encodeWithSelector(WrongState.selector, jobId, State.REVEALING));
        market.drawSplit(jobId);
        _reveal(_opening(0, 30, true));
        _reveal(_opening(1, 40, true));
        vm.roll(block.number + 3);
        vm.warp(market.job(jobId).deadline);
        vm.expectRevert(
            abi.encodeWithSelector(TooLate.selector, jobId, market.job(jobId).deadline, block.timestamp)
        );
        market.drawSplit(jobId);
    }

    function test_NoKeysAreHandedOverBeforeTheSplit() public {
        _toAwarded();
        uint256 drawBlock = market.job(jobId).drawBlock;
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(SeedBlockPending.selector, drawBlock, block.number));
        market.postKeys(jobId, new bytes(112));
    }

    function test_AUserThatNeverSplitsIsAtFault() public {
        _toAwarded();
        _poke();
        _checkClosed(Outcome.USER_FAULT);
        _checkNet(-50, 25, 25);
    }

    /// @dev Once the EVM has forgotten the block, the newest one at a multiple of 256 from it takes its place.
    function test_WaitingCannotLeaveAJobWithoutASplit() public {
        _toAwarded();
        vm.roll(block.number + 2 + 256 + 1);
        bytes32 seed = _seedNow();
        vm.expectEmit(true, false, false, true, address(market));
        emit SplitDrawn(jobId, seed);
        market.drawSplit(jobId);
    }

    function test_TheWinnersKeysAreThoseOfTheTrainingChunks() public {
        bool[] memory isTested = _toSplitDispute();
        bytes memory words = _words(_not(isTested));
        vm.expectEmit(true, false, false, true, address(market));
        emit KeyDisclosed(jobId, words);
        _disclose(words);
        _checkState(State.KEYED);
        vm.assertTrue(market.job(jobId).isKeyPublic, "public");
    }

    function test_AUserCannotKeepATrainingChunkBack() public {
        bool[] memory isShown = _not(_toSplitDispute());
        for (uint256 i = 0; i < chunks; ++i) {
            if (!isShown[i]) continue;
            isShown[i] = false;
            bytes memory words = _words(isShown);
            vm.prank(user);
            vm.expectPartialRevert(WrongPreimage.selector);
            market.discloseKey(jobId, words, seedHash, 0);
            isShown[i] = true;
        }
        _disclose(_words(isShown));
    }

    function test_TheCodeKeyAloneIsNoDisclosure() public {
        _toSplitDispute();
        bytes memory code = abi.encode(CODE_KEY);
        vm.prank(user);
        vm.expectRevert(_refusal(0, 0));
        market.discloseKey(jobId, code, seedHash, testKeyHash);
    }

    function test_WordsThatAreNoneAreRefused() public {
        bytes memory right = _words(_not(_toSplitDispute()));
        bytes memory cut = new bytes(right.length - 1);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = right[i];
        }
        bytes[4] memory wrong = [bytes(""), abi.encode(1), cut, abi.encode(type(uint256).max, 0, 0)];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.prank(user);
            vm.expectRevert(_refusal(0, 0));
            market.discloseKey(jobId, wrong[i], seedHash, testKeyHash);
        }
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 1089, 1088));
        market.discloseKey(jobId, new bytes(1089), seedHash, testKeyHash);
    }

    /// @dev How the market refuses two hashes that are not the job's.
    function _refusal(bytes32 train, bytes32 test) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Job(uint256 chainId,address market,address user,bytes32 secrets)");
        bytes32 secrets = keccak256(abi.encode(seedHash, train, test));
        bytes32 actual = keccak256(abi.encode(typeHash, block.chainid, address(market), user, secrets));
        return abi.encodeWithSelector(WrongPreimage.selector, jobId, actual);
    }

    function test_TheCommitteesKeysAreThoseOfTheTestingChunks() public {
        bool[] memory isTested = _toSplitDispute();
        _disclose(_words(_not(isTested)));
        _ack();
        _submitModel();
        vm.roll(block.number + 3);
        _revealSeed();
        _postModelKeys();
        _postTestKeys();
        _complainKeys(0, true);
        bytes memory others = _words(_not(isTested));
        vm.prank(stranger);
        vm.expectPartialRevert(WrongPreimage.selector);
        market.discloseTest(jobId, others, seedHash, 0);
        bytes memory words = _words(isTested);
        vm.expectEmit(true, false, false, true, address(market));
        emit TestKeysDisclosed(jobId, words);
        vm.prank(stranger);
        market.discloseTest(jobId, words, seedHash, 0);
        _vote(_same(GOOD, _size()));
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        _checkNet(-50, 40, 0);
    }

    /// @dev The contract's rule and this file's, by two hands, over all sizes; most of 32 chunks cost less than a million.
    function testFuzz_EverySplitIsDisclosed(uint256 chunks_, uint256 tests_, uint256 blocks) public {
        chunks_ = 2 + chunks_ % 31;
        tests_ = 1 + tests_ % (chunks_ - 1 < 8 ? chunks_ - 1 : 8);
        vm.roll(1_000 + blocks % 1_000_000);
        _commitTo(chunks_, tests_);
        bytes memory words = _words(_not(_toSplitDispute()));
        vm.assertEq(words.length, 32 * (chunks_ + 2));
        vm.prank(user);
        market.discloseKey(jobId, words, seedHash, 0);
        vm.assertTrue(vm.lastCallGas().gasTotalUsed < 1_000_000, "bounded");
        _checkState(State.KEYED);
    }

    function test_SplitGoesWithLinearButNotWithPublic() public {
        Terms memory terms = _terms();
        (terms.options, terms.baseline) = (6, 800_000);
        vm.prank(user);
        market.post(terms, "");
        uint8[5] memory refused = [5, 7, 8, 16, 255];
        for (uint256 i = 0; i < refused.length; ++i) {
            terms.options = refused[i];
            terms.seedHash = bytes32(i);
            vm.prank(user);
            vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, "options"));
            market.post(terms, "");
        }
    }
}
