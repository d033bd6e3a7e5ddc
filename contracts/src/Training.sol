// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Auction} from "./Auction.sol";

/// @title From the award to the model: the user hands over keys, the winner accepts or declines, trains and commits.
/// @notice KEY_DISPUTE (the winner complains, the user discloses the keys in clear) belongs between KEYED and TRAINING.
abstract contract Training is Auction {
    /// @dev Bytes of a sealed box: two 32-byte keys and 48 bytes of sealing, with room for other schemes.
    uint256 internal constant MOST_BOX_BYTES = 512;

    /// @notice The user hands the training and code keys to the winner, sealed.
    function postKeys(bytes32 jobId, bytes calldata box) external {
        Job storage job_ = _live(jobId, State.AWARDED);
        _onlyCaller(job_.user);
        _onlyUpTo(box.length, MOST_BOX_BYTES);
        emit KeysPosted(jobId, box);
        _enter(jobId, job_, State.KEYED);
    }

    /// @notice The winner accepts the data. From now it has the time that its own bid asked for.
    function ack(bytes32 jobId) external {
        Job storage job_ = _live(jobId, State.KEYED);
        _onlyCaller(job_.winner);
        _enter(jobId, job_, State.TRAINING);
    }

    /// @notice The winner refuses the data; silence means the same.
    function decline(bytes32 jobId) external {
        Job storage job_ = _live(jobId, State.KEYED);
        _onlyCaller(job_.winner);
        _closeMutualAbort(jobId, job_);
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
        Job storage job_ = _live(jobId, State.TRAINING);
        _onlyCaller(job_.winner);
        _onlyPreimage(workerSeed, job_.winnerSalt);
        _onlyUpTo(model.length, MOST_DOCUMENT_BYTES);
        uint64 seedBlock = uint64(block.number) + _seedBlocks;
        delete job_.winnerSalt;
        job_.workerSeed = workerSeed;
        job_.yHash = yHash;
        job_.seedBlock = seedBlock;
        emit ModelSubmitted(jobId, modelHash, xHash, yHash, workerSeed, seedBlock, model);
        _enter(jobId, job_, State.SEED);
    }
}
