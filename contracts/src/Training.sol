// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Auction} from "./Auction.sol";
import {Split} from "./Split.sol";

/// @title From the award to the model: the user hands over keys, the winner accepts, trains and commits.
/// @notice A winner that finds no key in the sealed box makes the user publish it: the winner could leak it anyway, and
///         whoever then stays silent is at fault.
abstract contract Training is Auction, Split {
    /// @notice The user hands the training and code keys to the winner, sealed; in a SPLIT job, once `drawSplit` was
    ///         called.
    function postKeys(bytes32 jobId, bytes calldata box) external {
        Record storage record = _live(jobId, State.AWARDED);
        _onlyCaller(record.user);
        _onlyUpTo(box.length, MOST_KEYS_BYTES);
        if (record.flags & UNSPLIT != 0) revert SeedBlockPending(record.drawBlock, block.number);
        emit KeysPosted(jobId, box);
        _enter(jobId, record, State.KEYED, _ackSeconds);
    }

    /// @notice The winner makes the user publish the keys; once, as then they are public.
    function complainKey(bytes32 jobId) external {
        Record storage record = _live(jobId, State.KEYED);
        _onlyCaller(record.winner);
        if (record.flags & KEY_PUBLIC != 0) revert AlreadyDisclosed(jobId);
        _enter(jobId, record, State.KEY_DISPUTE, _disputeSeconds);
    }

    /// @notice The user publishes training key and code key.
    /// @param keys The two keys, 64 bytes, whose hash is `terms.trainKeyHash`; in a SPLIT job more: see Split.sol.
    function discloseKey(bytes32 jobId, bytes calldata keys, bytes32 seedHash, bytes32 testKeyHash) external {
        Record storage record = _live(jobId, State.KEY_DISPUTE);
        _onlyCaller(record.user);
        _onlyKeys(jobId, msg.sender, keys, seedHash, testKeyHash, false);
        record.flags |= KEY_PUBLIC;
        emit KeyDisclosed(jobId, keys);
        _enter(jobId, record, State.KEYED, _ackSeconds);
    }

    /// @notice The winner accepts the data. From now it has the time that its own bid asked for.
    function ack(bytes32 jobId) external {
        Record storage record = _live(jobId, State.KEYED);
        _onlyCaller(record.winner);
        (,, uint32 estimatedSeconds) = _standing(record);
        _enter(jobId, record, State.TRAINING, estimatedSeconds);
    }

    /// @notice The winner commits to its model, before anybody can know who will test it.
    /// @param modelHash Hash of the model in clear, for the validators.
    /// @param xHash keccak256 of the half of the model's key that the user gets sealed.
    /// @param yHash keccak256 of the half whose publication is the claim to the price.
    /// @param workerSeed The winner's share of the committee's seed; its hash was the winning bid's salt.
    /// @param model The encoded manifest with the magnet link, at most 8 KiB, for the event only.
    function submitModel(
        bytes32 jobId,
        bytes32 modelHash,
        bytes32 xHash,
        bytes32 yHash,
        bytes32 workerSeed,
        bytes calldata model
    ) external {
        Record storage record = _live(jobId, State.TRAINING);
        _onlyCaller(record.winner);
        _spendBid(jobId, record, workerSeed);
        _onlyUpTo(model.length, MOST_DOCUMENT_BYTES);
        uint48 drawBlock = uint48(block.number + _seedBlocks);
        record.drawBlock = drawBlock;
        record.standingOrModel = _modelRoot(modelHash, xHash, yHash, workerSeed);
        emit ModelSubmitted(jobId, modelHash, xHash, yHash, workerSeed, drawBlock, model);
        _enter(jobId, record, State.SEED, _seedSeconds);
    }

    /// @dev The seed share is the one that the winning bid committed to: its commitment comes out again, and lies under
    ///      the winner's sequence, which no other bid has.
    function _spendBid(bytes32 jobId, Record storage record, bytes32 workerSeed) private {
        (uint96 best, uint32 sequence, uint32 estimatedSeconds) = _standing(record);
        Opening memory opening = Opening(msg.sender, best, true, estimatedSeconds, _hashOf(workerSeed));
        bytes32 commitment = keccak256(abi.encode(BID_TYPEHASH, block.chainid, address(this), jobId, opening));
        bytes32 key = _bidKey(jobId, msg.sender, commitment);
        if (_bids[key] & ~OPENED != uint256(sequence) + 1) revert UnknownCommitment(commitment);
        delete _bids[key];
    }
}
