// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketRules} from "./MarketRules.sol";

/// @title SPLIT jobs: which part of the data tests the model, nobody chooses.
/// @notice The user seals its data in up to 32 chunks, each with a key of its own, and commits to them all at the
///         posting: `testKeyHash` is a hash over how many chunks test the model, and the hashes of all their keys;
///         `trainKeyHash` is that of the code key. A block after the award picks the testing chunks (`drawSplit`). The
///         winner is entitled to the keys of the others, and the committee to theirs.
/// @dev Only what a disclosure needs is here. For a job without SPLIT both hashes are those of the keys themselves.
abstract contract Split is MarketRules {
    /// @dev Checks that `keys` are what the user committed to: two keys whose hash is one of the posting's; or, in a
    ///      SPLIT job, how many chunks test, then for each chunk its key if it is disclosed here and else its key's
    ///      hash, then the code key.
    /// @param sibling The hash beside theirs; a SPLIT job's disclosure shows both.
    /// @param isTest The committee's keys; else the winner's.
    function _onlyKeys(
        bytes32 jobId,
        address user,
        bytes calldata keys,
        bytes32 seedHash,
        bytes32 sibling,
        bool isTest
    ) internal view {
        _onlyUpTo(keys.length, MOST_KEYS_BYTES);
        bytes32 seed = _splits[jobId];
        bytes32 trainKeyHash = sibling;
        bytes32 testKeyHash = sibling;
        if (seed != 0) (trainKeyHash, testKeyHash) = _rootsOf(seed, keys, isTest);
        else if (isTest) testKeyHash = keccak256(keys);
        else trainKeyHash = keccak256(keys);
        _onlyRoot(_jobIdOf(user, seedHash, trainKeyHash, testKeyHash), jobId);
    }

    /// @return codeHash The code key's hash; zero, as is the other, where `keys` are no such words.
    /// @return root Starts as how many chunks test; then, chunk by chunk, the hash of itself and the key's hash.
    function _rootsOf(bytes32 seed, bytes calldata keys, bool isTest)
        private
        pure
        returns (bytes32 codeHash, bytes32 root)
    {
        unchecked {
            uint256 chunks = keys.length / 32 - 2;
            uint256 tested = uint256(bytes32(keys));
            if (chunks > 32 || tested > chunks || keys.length % 32 != 0) return (0, 0);
            root = bytes32(tested);
            tested = _tested(seed, chunks, tested);
            if (!isTest) tested = ~tested;
            for (; chunks != 0; --chunks) {
                keys = keys[32:];
                bytes32 word = bytes32(keys);
                root = keccak256(abi.encode(root, tested & 1 == 0 ? word : _hashOf(word)));
                tested >>= 1;
            }
            codeHash = _hashOf(bytes32(keys[32:]));
        }
    }

    /// @dev Which chunks test the model: `wanted` different ones, found by words of the seed; a bit for each.
    function _tested(bytes32 seed, uint256 chunks, uint256 wanted) private pure returns (uint256 tested) {
        unchecked {
            for (uint256 attempt = 0; wanted != 0; ++attempt) {
                uint256 bit = 1 << (uint256(keccak256(abi.encode(seed, attempt))) % chunks);
                if (tested & bit == 0) --wanted;
                tested |= bit;
            }
        }
    }
}
