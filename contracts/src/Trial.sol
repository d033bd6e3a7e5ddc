// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Committee} from "./Committee.sol";
import {MarketStorage} from "./MarketStorage.sol";
import {MarketViews} from "./MarketViews.sol";
import {Reports} from "./Reports.sol";

/// @title The market's other half: from the drawn committee to the payout, and every deadline.
/// @notice `Market` runs this code on its own storage. Called at its own address it is useless, and so it is safe:
///         there no job was ever posted, every call on a job answers WrongState(NONE), and no call takes or sends
///         money, makes a seat, calls another contract, or delegates. It cannot be destroyed or replaced.
contract Trial is Committee, Reports, MarketViews {
    /// @dev The same arguments as the market's: what is immutable lies in each half's code.
    constructor(IERC20 token_, uint96 seatStake_, Timing memory timing_) MarketStorage(token_, seatStake_, timing_) {}

    /// @notice The winner refuses the data; silence means the same.
    function decline(bytes32 jobId) external {
        Record storage record = _live(jobId, State.KEYED);
        _onlyCaller(record.winner);
        _closeAs(jobId, record, Outcome.MUTUAL_ABORT);
    }

    /// @notice Moves a job whose deadline has passed; anybody may, and is paid a little of what it burns. A job with an
    ///         outcome is one whose seats are being settled: that goes on.
    function poke(bytes32 jobId) external {
        Record storage record = _records[jobId];
        State state = record.state;
        if (state == State.NONE || state == State.CLOSED) revert WrongState(jobId, state);
        if (block.timestamp < record.deadline) revert TooEarly(jobId, record.deadline, block.timestamp);

        if (record.outcome != Outcome.NONE) _sweep(jobId, record);
        else if (state == State.BIDDING) _endBidding(jobId, record);
        else if (state == State.REVEALING) _award(jobId, record, record.commitments - record.opened);
        else if (state == State.AWARDED) _closeAs(jobId, record, Outcome.USER_FAULT);
        else if (state == State.KEYED) _closeAs(jobId, record, Outcome.MUTUAL_ABORT);
        else if (state == State.KEY_DISPUTE) _closeAs(jobId, record, Outcome.USER_FAULT);
        else if (state == State.TRAINING) _closeAs(jobId, record, Outcome.WORKER_FAULT);
        else if (state == State.SEED) _endSeed(jobId, record);
        else if (state == State.KEYING) _endKeying(jobId, record);
        else if (state == State.X_DISPUTE) _abort(jobId, record, Verdict.NO_MODEL);
        else if (state == State.VCOMMIT) _endCommits(jobId, record);
        else if (state == State.DISCLOSE) _endDisclosure(jobId, record);
        else if (state == State.VREVEAL) _finishRound(jobId, record);
        else if (state == State.TALLIED) _endAppeals(jobId, record);
        else if (state == State.DRAWING) _drawNext(jobId, record);
        else if (state == State.CLAIMABLE) _closeAs(jobId, record, Outcome.WORKER_FAULT);
        else _closeAs(jobId, record, Outcome.PAID); // INSPECT
    }

    /// @notice What a round finds by the reports that are open now; nothing once the job has an outcome.
    function tally(bytes32 jobId, uint8 round) external view returns (Tally memory found) {
        Record storage record = _records[jobId];
        if (record.outcome != Outcome.NONE) return found;
        if (round <= record.round) (found,,) = _tallyOf(record, _chairsOf(jobId, record), round);
    }

    /// @dev BIDDING is over.
    function _endBidding(bytes32 jobId, Record storage record) private {
        if (record.commitments == 0) _closeUnawarded(jobId, record, Outcome.NO_BIDS, 0);
        else _enter(jobId, record, State.REVEALING, _revealingSeconds);
    }

    /// @dev SEED is over: the user, who did not reveal its share, withholds the test.
    function _endSeed(bytes32 jobId, Record storage record) private {
        record.verdict = Verdict.NO_TEST;
        _resolve(jobId, record);
    }

    /// @dev KEYING is over: whoever withheld its keys is at fault; if both did, nobody can say who would have.
    function _endKeying(bytes32 jobId, Record storage record) private {
        if (record.flags & WORKER_KEYED != 0) {
            _abort(jobId, record, Verdict.NO_TEST);
        } else if (record.flags & USER_KEYED != 0) {
            _abort(jobId, record, Verdict.NO_MODEL);
        } else {
            record.flags |= ABORTED;
            _closeAs(jobId, record, Outcome.MUTUAL_ABORT);
        }
    }

    /// @dev Whoever was accused of a missing key, and nobody else, has published it: the key is not to be had.
    function _endDisclosure(bytes32 jobId, Record storage record) private {
        _abort(jobId, record, record.flags & USER_ACCUSED == 0 ? Verdict.NO_MODEL : Verdict.NO_TEST);
    }
}
