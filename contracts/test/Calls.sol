// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice PROTOCOL.md 5.2 as data: every call on a job with the one state in which it is valid, whose it is, and
///         arguments that are right there.
abstract contract Calls is Base {
    struct Call {
        string name;
        State state;
        address caller;
        bytes data;
        bool isAnybodys;
    }

    uint256 internal constant CALLS = 25;

    bytes32 private constant COMMIT_TYPEHASH = keccak256("Commit(bytes32 jobId,address bidder,bytes32 commitment)");
    bytes32 private constant COMMIT_REPORT_TYPEHASH =
        keccak256("CommitReport(bytes32 jobId,uint8 round,uint8 restarts,address validator,bytes32 commitment)");
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    function _domain(uint256 chainId, address verifier) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Morphware"), keccak256("1"), chainId, verifier)
        );
    }

    function _sign(address account, bytes32 domain, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[account], keccak256(abi.encodePacked("\x19\x01", domain, structHash)));
        return abi.encodePacked(r, s, v);
    }

    function _bidStruct(address bidder, bytes32 commitment) internal view returns (bytes32) {
        return keccak256(abi.encode(COMMIT_TYPEHASH, jobId, bidder, commitment));
    }

    function _reportStruct(uint8 round, address validator, bytes32 commitment) internal view returns (bytes32) {
        return keccak256(abi.encode(COMMIT_REPORT_TYPEHASH, jobId, round, restarts[jobId][round], validator, commitment));
    }

    function _signedBid(address bidder, bytes32 commitment) internal view returns (SignedBid memory) {
        bytes32 domain = _domain(block.chainid, address(market));
        return SignedBid(bidder, commitment, _sign(bidder, domain, _bidStruct(bidder, commitment)));
    }

    function _signedReport(address validator, bytes32 commitment) internal view returns (SignedReport memory) {
        bytes32 domain = _domain(block.chainid, address(market));
        bytes32 structHash = _reportStruct(market.job(jobId).round, validator, commitment);
        return SignedReport(validator, commitment, _sign(validator, domain, structHash));
    }

    /// @dev Of the two disclosures in DISCLOSE, the one that the accused can be saved by.
    function _calls() internal view returns (Call[] memory calls) {
        calls = new Call[](CALLS);
        _desk(calls);
        _trial(calls);
    }

    /// @dev Worker 0 where there is none yet.
    function _winner() internal view returns (address winner) {
        winner = market.job(jobId).winner;
        if (winner == address(0)) winner = workers[0];
    }

    function _desk(Call[] memory calls) private view {
        address winner = _winner();
        ModelRoot memory m = _model();
        SignedBid[] memory bids = new SignedBid[](1);
        bids[0] = _signedBid(workers[2], "d");
        calls[0] = Call("cancel", State.BIDDING, user, abi.encodeCall(market.cancel, (jobId)), false);
        calls[1] = Call("commit", State.BIDDING, workers[2], abi.encodeCall(market.commit, (jobId, "c")), true);
        calls[2] = Call("commitBatch", State.BIDDING, stranger, abi.encodeCall(market.commitBatch, (jobId, bids)), true);
        calls[3] = Call(
            "revealBatch", State.REVEALING, stranger,
            abi.encodeCall(market.revealBatch, (jobId, _one(_opening(0, 30, true)))), true
        );
        calls[4] = Call("postKeys", State.AWARDED, user, abi.encodeCall(market.postKeys, (jobId, "box")), false);
        calls[5] = Call("ack", State.KEYED, winner, abi.encodeCall(market.ack, (jobId)), false);
        calls[6] = Call("decline", State.KEYED, winner, abi.encodeCall(market.decline, (jobId)), false);
        calls[7] = Call("complainKey", State.KEYED, winner, abi.encodeCall(market.complainKey, (jobId)), false);
        calls[8] = Call(
            "discloseKey", State.KEY_DISPUTE, user,
            abi.encodeCall(
                market.discloseKey, (jobId, TRAIN_KEYS, keccak256(abi.encode(userSeed)), keccak256(TEST_KEYS))
            ),
            false
        );
        calls[9] = Call(
            "submitModel", State.TRAINING, winner,
            abi.encodeCall(market.submitModel, (jobId, m.modelHash, m.xHash, m.yHash, WORKER_SEED, "manifest")), false
        );
        calls[10] = Call(
            "revealSeed", State.SEED, user,
            abi.encodeCall(market.revealSeed, (jobId, userSeed, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), m)), false
        );
    }

    function _trial(Call[] memory calls) private view {
        address winner = _winner();
        ModelRoot memory m = _model();
        uint256 size = _size();
        address member = size == 0 ? stranger : _member(0);
        bytes[] memory boxes = _boxes(size);
        Report[] memory reports = new Report[](1);
        if (size != 0) reports[0] = _report(0, GOOD, PRINT);
        SignedReport[] memory signed = new SignedReport[](1);
        signed[0] = _signedReport(member, "d");
        calls[11] = Call("postTestKeys", State.KEYING, user, abi.encodeCall(market.postTestKeys, (jobId, boxes)), false);
        calls[12] =
            Call("postModelKeys", State.KEYING, winner, abi.encodeCall(market.postModelKeys, (jobId, boxes)), false);
        calls[13] = Call("complainX", State.KEYING, user, abi.encodeCall(market.complainX, (jobId)), false);
        calls[14] = Call(
            "discloseX", State.X_DISPUTE, winner,
            abi.encodeCall(market.discloseX, (jobId, X, MODEL_HASH, m.yHash, WORKER_SEED)), false
        );
        calls[15] = Call("commitReport", State.VCOMMIT, member, abi.encodeCall(market.commitReport, (jobId, "c")), false);
        calls[16] = Call(
            "commitReportBatch", State.VCOMMIT, stranger, abi.encodeCall(market.commitReportBatch, (jobId, signed)), true
        );
        calls[17] =
            Call("complainKeys", State.VCOMMIT, member, abi.encodeCall(market.complainKeys, (jobId, true)), false);
        calls[18] =
            Call("complainKeys", State.VCOMMIT, member, abi.encodeCall(market.complainKeys, (jobId, false)), false);
        calls[19] = market.job(jobId).isUserAccused
            ? Call(
                "discloseTest", State.DISCLOSE, stranger,
                abi.encodeCall(
                    market.discloseTest, (jobId, TEST_KEYS, keccak256(abi.encode(userSeed)), keccak256(TRAIN_KEYS))
                ),
                true
            )
            : Call(
                "discloseModel", State.DISCLOSE, stranger,
                abi.encodeCall(market.discloseModel, (jobId, X, Y, MODEL_HASH, WORKER_SEED)), true
            );
        calls[20] =
            Call("revealReports", State.VREVEAL, stranger, abi.encodeCall(market.revealReports, (jobId, reports)), true);
        calls[21] = Call("appeal", State.TALLIED, stranger, abi.encodeCall(market.appeal, (jobId)), true);
        calls[22] = Call(
            "claim", State.CLAIMABLE, stranger,
            abi.encodeCall(market.claim, (jobId, Y, MODEL_HASH, m.xHash, WORKER_SEED)), true
        );
        calls[23] = Call("inspectAppeal", State.INSPECT, user, abi.encodeCall(market.inspectAppeal, (jobId)), false);
        // The winner brings its own user's claim: a preimage is authority enough, whoever has it.
        calls[24] = Call(
            "claim", State.CLAIMABLE, winner,
            abi.encodeCall(market.claim, (jobId, Y, MODEL_HASH, m.xHash, WORKER_SEED)), true
        );
    }

    function _try(address caller, bytes memory data) internal returns (bool isDone, bytes memory answer) {
        vm.prank(caller);
        (isDone, answer) = address(market).call(data);
        _checkConserved();
    }

    function _refused(string memory name, address caller, bytes memory data, bytes memory wanted) internal {
        (bool isDone, bytes memory answer) = _try(caller, data);
        vm.assertTrue(!isDone, string.concat(name, ": a call that the table does not have went through"));
        vm.assertEq(answer, wanted, string.concat(name, ": the refusal says why"));
    }

    /// @dev BIDDING to INSPECT: all that a job can stand in.
    function _openStates() internal pure returns (State[] memory states) {
        states = new State[](16);
        for (uint256 i = 0; i < 16; ++i) {
            states[i] = State(i + 1);
        }
    }
}
