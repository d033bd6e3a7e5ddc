// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Calls} from "./Calls.sol";

/// @notice Commitments that others bring (EIP-712): what is signed stands as if self-sent, and what is not signed by its
///         bidder, for this job, round, market and chain, is passed over without spoiling the batch.
contract RelayTest is Calls {
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function _list(SignedBid memory bid) private pure returns (SignedBid[] memory bids) {
        bids = new SignedBid[](1);
        bids[0] = bid;
    }

    function _list(SignedReport memory report) private pure returns (SignedReport[] memory reports) {
        reports = new SignedReport[](1);
        reports[0] = report;
    }

    function _nothing(SignedBid memory bid) private {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NothingTaken.selector, jobId));
        market.commitBatch(jobId, _list(bid));
    }

    function _nothing(SignedReport memory report) private {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NothingTaken.selector, jobId));
        market.commitReportBatch(jobId, _list(report));
    }

    // ---- bids

    function test_RelayedBidsStandAsIfSelfSentInTheOrderOfTheBatch() public {
        _toBidding();
        SignedBid[] memory bids = new SignedBid[](3);
        Opening[] memory openings = new Opening[](3);
        for (uint256 i = 0; i < 3; ++i) {
            openings[i] = _opening(2 - i, 30, true);
            bids[i] = _signedBid(workers[2 - i], _bidHash(openings[i]));
        }
        for (uint32 i = 0; i < 3; ++i) {
            vm.expectEmit(true, true, false, true, address(market));
            emit BidCommitted(jobId, workers[2 - i], bids[i].commitment, i);
        }
        vm.prank(stranger);
        market.commitBatch(jobId, bids);
        _checkConserved();
        vm.assertEq(market.job(jobId).commitments, 3);
        vm.assertEq(market.job(jobId).unopened, 3);
        vm.assertEq(_net(stranger), 0, "the relayer pays no bond");
        for (uint256 i = 0; i < 3; ++i) vm.assertEq(_net(workers[i]), -50, "the bidder does");
        _poke();
        market.revealBatch(jobId, openings);
        vm.assertEq(market.job(jobId).winner, workers[2]); // of equal prices the first in the batch
    }

    /// @dev One of each kind that may not stand, around one that may.
    function test_ABatchPassesOverWhatMayNotStandAndTakesTheRest() public {
        _toBidding();
        SignedBid[] memory bids = new SignedBid[](9);
        bids[0] = _signedBid(workers[0], 0); // empty
        bids[1] = _signedBid(user, "u"); // the user's
        bids[2] = _signedBid(workers[1], "a");
        bids[2].bidder = workers[2]; // in another's name
        bids[3] = _signedBid(workers[1], "a");
        bids[3].commitment = "b"; // for something else
        bids[4] = _signedBid(workers[1], "a");
        bids[4].signature = "short";
        vm.prank(workers[3]);
        market.commit(jobId, "c");
        bids[5] = _signedBid(workers[3], "c"); // there already
        vm.prank(workers[4]);
        market.withdraw(PURSE - 49);
        bids[6] = _signedBid(workers[4], "p"); // cannot pay the bond
        bids[7] = _signedBid(workers[1], "a"); // may stand
        bids[8] = bids[7]; // but once
        vm.expectEmit(true, true, false, true, address(market));
        emit BidCommitted(jobId, workers[1], "a", 1);
        vm.prank(stranger);
        market.commitBatch(jobId, bids);
        _checkConserved();
        vm.assertEq(market.job(jobId).commitments, 2);
        vm.assertEq(market.freeBalance(workers[4]), 49);
        vm.assertEq(_net(workers[2]), 0, "no bond for what it did not sign");
    }

    /// @dev Its balance is looked at bid by bid: two of three can be paid.
    function test_ABidderIsTakenAsFarAsItsBalanceGoes() public {
        _toBidding();
        vm.prank(workers[0]);
        market.withdraw(PURSE - 100);
        SignedBid[] memory bids = new SignedBid[](3);
        for (uint256 i = 0; i < 3; ++i) bids[i] = _signedBid(workers[0], bytes32(i + 1));
        market.commitBatch(jobId, bids);
        _checkConserved();
        vm.assertEq(market.freeBalance(workers[0]), 0);
        vm.assertEq(market.job(jobId).commitments, 2);
    }

    function test_ABatchThatTakesNothingIsRefused() public {
        _toBidding();
        vm.expectRevert(abi.encodeWithSelector(NothingTaken.selector, jobId));
        market.commitBatch(jobId, new SignedBid[](0));
        vm.expectRevert(abi.encodeWithSelector(NothingTaken.selector, jobId));
        market.commitBatch(jobId, new SignedBid[](64));
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 65, 64));
        market.commitBatch(jobId, new SignedBid[](65));
    }

    /// @dev Whoever relays first, or sends itself: the other comes too late, and nothing is paid twice.
    function test_ARelayedBidCannotBeSentAgain() public {
        _toBidding();
        SignedBid memory bid = _signedBid(workers[0], "c");
        market.commitBatch(jobId, _list(bid));
        _nothing(bid);
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(CommitmentExists.selector, bytes32("c")));
        market.commit(jobId, "c");
        vm.assertEq(_net(workers[0]), -50, "one bond");
    }

    function test_ASignatureIsForOneJob() public {
        _toBidding();
        SignedBid memory bid = _signedBid(workers[0], "c");
        userSeed = "another";
        _toBidding();
        _nothing(bid);
    }

    function test_ASignatureIsForOneChain() public {
        _toBidding();
        SignedBid memory bid = _signedBid(workers[0], "c");
        uint256 here = vm.snapshotState();
        vm.chainId(5);
        _nothing(bid);
        vm.revertToState(here);
        bytes32 domain = _domain(5, address(market));
        bid.signature = _sign(workers[0], domain, _bidStruct(workers[0], "c"));
        _nothing(bid);
    }

    function test_ASignatureIsForOneMarket() public {
        _toBidding();
        bytes32 domain = _domain(block.chainid, address(token));
        _nothing(SignedBid(workers[0], "c", _sign(workers[0], domain, _bidStruct(workers[0], "c"))));
    }

    function test_ASignatureIsForOneBidder() public {
        _toBidding();
        bytes32 domain = _domain(block.chainid, address(market));
        // Worker 1 signs what names worker 0, and what names itself, to spend worker 0's money.
        _nothing(SignedBid(workers[0], "c", _sign(workers[1], domain, _bidStruct(workers[0], "c"))));
        _nothing(SignedBid(workers[0], "c", _sign(workers[1], domain, _bidStruct(workers[1], "c"))));
    }

    /// @dev A signature for a report's commitment is none for a bid's.
    function test_ASignatureIsForOneKindOfCommitment() public {
        _toBidding();
        bytes32 domain = _domain(block.chainid, address(market));
        _nothing(SignedBid(workers[0], "c", _sign(workers[0], domain, _reportStruct(0, workers[0], "c"))));
    }

    function test_AMalleableSignatureIsRefused() public {
        _toBidding();
        bytes memory good = _signedBid(workers[0], "c").signature;
        (bytes32 r, bytes32 s, uint8 v) = _split(good);
        bytes[7] memory wrong = [
            abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27)), // the high s
            abi.encodePacked(r, s, v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(good, uint8(0)),
            abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255))), // EIP-2098
            abi.encodePacked(bytes32(0), bytes32(0), uint8(27)),
            bytes("")
        ];
        for (uint256 i = 0; i < 7; ++i) {
            _nothing(SignedBid(workers[0], "c", wrong[i]));
        }
        market.commitBatch(jobId, _list(SignedBid(workers[0], "c", good)));
    }

    /// @dev What recovers to nobody is not the zero address's bid.
    function test_NobodyBidsForTheZeroAddress() public {
        _toBidding();
        _nothing(SignedBid(address(0), "c", abi.encodePacked(bytes32(0), bytes32(0), uint8(27))));
        _nothing(SignedBid(address(0), "c", new bytes(65)));
    }

    function _split(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    function testFuzz_NoOtherBytesAreASignature(bytes memory signature, uint256 index, uint8 flip) public {
        _toBidding();
        SignedBid memory bid = _signedBid(workers[0], "c");
        if (keccak256(signature) != keccak256(bid.signature)) _nothing(SignedBid(workers[0], "c", signature));
        if (flip == 0) return;
        bid.signature[index % 65] ^= bytes1(flip);
        _nothing(bid);
    }

    // ---- reports

    function test_RelayedReportsStandAndTheLastOneEndsThePhase() public {
        _toVcommit();
        SignedReport[] memory reports = new SignedReport[](SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            reports[i] = _signedReport(_member(i), _reportHash(_report(i, GOOD, PRINT)));
        }
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.expectEmit(true, true, false, true, address(market));
            emit ReportCommitted(jobId, 0, reports[i].validator, reports[i].commitment);
        }
        vm.expectEmit(true, false, false, true, address(market));
        emit StateChanged(jobId, State.VREVEAL, uint40(block.timestamp + 17));
        vm.prank(stranger);
        market.commitReportBatch(jobId, reports);
        market.revealReports(jobId, _same(GOOD, SEATS));
        _checkState(State.TALLIED);
    }

    function test_ABatchOfReportsPassesOverWhatMayNotStand() public {
        _toVcommit();
        _commitReport(_report(0, GOOD, PRINT));
        SignedReport[] memory reports = new SignedReport[](6);
        reports[0] = _signedReport(_member(0), "c"); // has committed
        reports[1] = _signedReport(stranger, "c"); // does not sit
        reports[2] = _signedReport(_member(1), 0); // empty
        reports[3] = _signedReport(_member(2), "c");
        reports[3].validator = _member(3); // in another's name
        reports[4] = _signedReport(_member(2), "c");
        reports[5] = _signedReport(_member(2), "d"); // once
        market.commitReportBatch(jobId, reports);
        Member[] memory members = market.committee(jobId, 0);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertTrue(members[i].isCommitted == (i == 0 || i == 2), vm.toString(i));
        }
        address member = _member(2);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, member));
        market.commitReport(jobId, "d");
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 65, 64));
        market.commitReportBatch(jobId, new SignedReport[](65));
        vm.expectRevert(abi.encodeWithSelector(NothingTaken.selector, jobId));
        market.commitReportBatch(jobId, new SignedReport[](0));
    }

    /// @dev Neither round, nor job, nor chain, nor market, nor validator, nor kind.
    function test_AReportsSignatureIsForOneRoundOfOneJob() public {
        _toVcommit();
        address member = _member(0);
        bytes32 domain = _domain(block.chainid, address(market));
        _nothing(SignedReport(member, "c", _sign(member, domain, _reportStruct(1, member, "c"))));
        _nothing(SignedReport(member, "c", _sign(member, domain, _bidStruct(member, "c"))));
        _nothing(SignedReport(member, "c", _sign(_member(1), domain, _reportStruct(0, member, "c"))));
        domain = _domain(5, address(market));
        _nothing(SignedReport(member, "c", _sign(member, domain, _reportStruct(0, member, "c"))));
        domain = _domain(block.chainid, address(token));
        _nothing(SignedReport(member, "c", _sign(member, domain, _reportStruct(0, member, "c"))));
        bytes32 first = jobId;
        jobId = "another";
        domain = _domain(block.chainid, address(market));
        bytes memory signature = _sign(member, domain, _reportStruct(0, member, "c"));
        jobId = first;
        _nothing(SignedReport(member, "c", signature));
    }

    /// @dev Else somebody could commit a validator to what it found before it had the key, and has no salt for.
    function test_AReportsSignatureOfBeforeADisclosureIsVoid() public {
        _toVcommit();
        address member = _member(0);
        SignedReport memory old = _signedReport(member, "c");
        _complainKeys(1, true);
        _discloseTest();
        _nothing(old);
        SignedReport[] memory reports = new SignedReport[](1);
        reports[0] = _signedReport(member, "c");
        market.commitReportBatch(jobId, reports);
        vm.assertTrue(market.committee(jobId, 0)[0].isCommitted, "the new one stands");
    }

    function test_AnotherRoundsSeatCannotBeCommittedFor() public {
        _toVcommit();
        address early = _member(0);
        SignedReport memory report = _signedReport(early, "c");
        _vote(_same(GOOD, SEATS));
        _appeal(stranger);
        _poke();
        _nothing(report);
        _nothing(_signedReport(early, "c"));
    }
}
