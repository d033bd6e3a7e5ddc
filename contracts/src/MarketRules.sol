// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ITrial} from "./IMarket.sol";
import {MarketStorage} from "./MarketStorage.sol";

/// @title The rules that both halves of the market share: balances, gates, states, the award.
/// @notice The one clock rule: in a state with deadline d an action is valid iff `block.timestamp < d`, and `poke` iff
///         `block.timestamp >= d`: never both. Neither is where a block has to pass first, as what draws by its hash
///         says (SeedBlockPending).
/// @notice Money comes in by `deposit`, moves between balances inside, and goes out only by the owner's `withdraw`. No
///         job ever calls a token or a receiver, so no receiver can stop a job. Burned money stays in the contract, out
///         of everybody's reach, and is counted.
abstract contract MarketRules is MarketStorage {
    bytes32 private constant JOB_TYPEHASH = keccak256("Job(uint256 chainId,address market,address user,bytes32 secrets)");

    uint256 internal constant BPS = 10_000;

    /// @dev The EVM knows the hashes of this many blocks.
    uint256 internal constant BLOCKHASH_WINDOW = 256;

    /// @dev What `poke` earns of what it burns: enough that somebody cares, too little to burn for.
    uint256 private constant BOUNTY_BPS = 10;

    /// @dev Bids or reports in one call: bounds its gas.
    uint256 internal constant MOST_BATCH = 64;
    /// @dev Bytes of an encoded specification or model manifest. They live in events only.
    uint256 internal constant MOST_DOCUMENT_BYTES = 8 * 1024;
    /// @dev Bytes of a sealed box: two 32-byte keys and 48 bytes of sealing, with room for other schemes.
    uint256 internal constant MOST_BOX_BYTES = 512;
    /// @dev Bytes of the keys that a user discloses, or seals to its winner: those of 32 chunks, and two words.
    uint256 internal constant MOST_KEYS_BYTES = 34 * 32;

    // ------------------------------------------------------------------------------------------------------ balances

    function _credit(address account, uint256 amount) internal {
        if (amount == 0) return;
        unchecked {
            _free[account] += amount; // what the market holds fits 96 bits
        }
    }

    function _debit(address account, uint256 amount) internal {
        uint256 balance = _free[account];
        if (balance < amount) revert InsufficientBalance(account, balance, amount);
        unchecked {
            _free[account] = balance - amount; // checked just now
        }
    }

    /// @dev Burns `amount` wei that the job holds. If this is a poke, the caller gets a bounty out of what burns above
    ///      `exempt`: what a user and a friend of its, in whatever role, lose by an agreed failure stays lost.
    /// @return burned_ All that the job has burned, in wei.
    function _burn(bytes32 jobId, Record storage record, uint256 amount, uint256 exempt)
        internal
        returns (uint96 burned_)
    {
        // Most jobs burn nothing, and need not read that word.
        if (amount == 0) return record.opened == record.commitments ? 0 : record.burned;
        if (msg.sig == ITrial.poke.selector && amount > exempt) {
            uint256 bounty = ((amount - exempt) * BOUNTY_BPS) / BPS;
            if (bounty != 0) {
                amount -= bounty;
                _credit(msg.sender, bounty);
                emit PokeRewarded(jobId, msg.sender, uint96(bounty));
            }
        }
        burned_ = record.burned + uint96(amount);
        record.burned = burned_;
        _burned += uint96(amount);
    }

    /// @dev The bid bond and the user's bond: half of the reserve each, in wei.
    function _bond(Record storage record) internal view returns (uint256) {
        return record.reserve / 2;
    }

    /// @dev What the user escrowed at the posting, in wei.
    function _userStake(Record storage record) internal view returns (uint256) {
        return uint256(record.reserve) + uint256(record.seats) * record.fee + _bond(record);
    }

    /// @dev The bonds of all appeals, in wei.
    function _appealBonds(bytes32 jobId, Record storage record) internal view returns (uint256 bonds) {
        for (uint256 i = 0; i < record.appeals; ++i) {
            bonds += _appeals[jobId][i].seats;
        }
        bonds *= record.fee;
    }

    // --------------------------------------------------------------------------------------------------------- gates

    /// @dev The job, if it stands in `state` and its deadline has not passed. While its seats are being settled the
    ///      deadline has.
    function _live(bytes32 jobId, State state) internal view returns (Record storage record) {
        record = _records[jobId];
        if (record.state != state) revert WrongState(jobId, record.state);
        _onlyInTime(jobId, record);
    }

    function _onlyInTime(bytes32 jobId, Record storage record) internal view {
        if (block.timestamp >= record.deadline) revert TooLate(jobId, record.deadline, block.timestamp);
    }

    function _onlyCaller(address wanted) internal view {
        if (msg.sender != wanted) revert WrongCaller(msg.sender, wanted);
    }

    function _onlyUpTo(uint256 length, uint256 most) internal pure {
        if (length > most) revert BoxTooLarge(length, most);
    }

    /// @dev Whoever shows a preimage brings its siblings: the market keeps one root.
    function _onlyRoot(bytes32 actual, bytes32 wanted) internal pure {
        if (actual != wanted) revert WrongPreimage(wanted, actual);
    }

    /// @dev A job is named by chain, market, user and the user's three secrets: its name proves whichever is shown.
    function _jobIdOf(address user, bytes32 seedHash, bytes32 trainKeyHash, bytes32 testKeyHash)
        internal
        view
        returns (bytes32)
    {
        bytes32 secrets = keccak256(abi.encode(seedHash, trainKeyHash, testKeyHash));
        return keccak256(abi.encode(JOB_TYPEHASH, block.chainid, address(this), user, secrets));
    }

    function _modelRoot(bytes32 modelHash, bytes32 xHash, bytes32 yHash, bytes32 workerSeed)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(modelHash, xHash, yHash, workerSeed));
    }

    function _hashOf(bytes32 word) internal pure returns (bytes32) {
        return keccak256(abi.encode(word));
    }

    /// @dev Whether `account` signed the EIP-712 struct: 65 bytes, low s. A contract cannot sign.
    function _isSigned(address account, bytes32 domain, bytes32 structHash, bytes calldata signature)
        internal
        pure
        returns (bool)
    {
        (address signer, ECDSA.RecoverError problem,) =
            ECDSA.tryRecoverCalldata(MessageHashUtils.toTypedDataHash(domain, structHash), signature);
        return problem == ECDSA.RecoverError.NoError && signer == account;
    }

    // -------------------------------------------------------------------------------------------------------- states

    /// @dev Enters a state that lasts until somebody acts, and at most `seconds_`.
    function _enter(bytes32 jobId, Record storage record, State state, uint256 seconds_) internal {
        uint40 deadline = uint40(block.timestamp + seconds_);
        record.state = state;
        record.deadline = deadline;
        emit StateChanged(jobId, state, deadline);
    }

    /// @dev REVEALING is over: unopened bonds burn, and the job is the winner's, if there is one.
    function _award(bytes32 jobId, Record storage record, uint32 unopened) internal {
        uint96 burned_ = _burn(jobId, record, unopened * _bond(record), 0);
        if (record.winner == address(0)) {
            _closeUnawarded(jobId, record, Outcome.NO_BIDS, burned_);
            return;
        }
        if (record.flags & UNSPLIT != 0) record.drawBlock = uint48(block.number + _seedBlocks);
        emit JobAwarded(jobId, record.winner, uint96(uint256(record.standingOrModel)), record.price, unopened);
        _enter(jobId, record, State.AWARDED, _keySeconds);
    }

    /// @dev CANCELLED, or NO_BIDS: the user gets everything back.
    function _closeUnawarded(bytes32 jobId, Record storage record, Outcome outcome, uint96 burned_) internal {
        _credit(record.user, _userStake(record));
        _end(jobId, record, outcome, 0, burned_);
    }

    /// @dev The last thing that ever happens to a job.
    function _end(bytes32 jobId, Record storage record, Outcome outcome, uint256 paid, uint96 burned_) internal {
        record.state = State.CLOSED;
        record.deadline = 0;
        record.outcome = outcome;
        emit StateChanged(jobId, State.CLOSED, 0);
        emit JobClosed(jobId, outcome, record.winner, uint96(paid), burned_);
    }
}
