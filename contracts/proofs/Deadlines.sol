// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Proof} from "./Proof.sol";

/// @notice The clock rule: in every state, with any deadline and at any time, a job's actions are open iff
///         `now < deadline`, and `poke` iff `now >= deadline`. Never both, never neither, and a poke that is due succeeds.
abstract contract Deadlines is Proof {
    struct Clock {
        uint40 deadline;
        uint40 time;
        uint32 number; // the block's
        uint32 drawBlock;
    }

    function check_poke_in_bidding_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.BIDDING, clock);
    }

    function check_poke_in_revealing_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.REVEALING, clock);
    }

    function check_poke_in_awarded_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.AWARDED, clock);
    }

    function check_poke_in_keyed_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.KEYED, clock);
    }

    function check_poke_in_key_dispute_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.KEY_DISPUTE, clock);
    }

    function check_poke_in_training_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.TRAINING, clock);
    }

    function check_poke_in_seed_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.SEED, clock);
    }

    function check_poke_in_keying_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.KEYING, clock);
    }

    function check_poke_in_x_dispute_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.X_DISPUTE, clock);
    }

    function check_poke_in_vcommit_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.VCOMMIT, clock);
    }

    function check_poke_in_disclose_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.DISCLOSE, clock);
    }

    function check_poke_in_vreveal_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.VREVEAL, clock);
    }

    function check_poke_in_tallied_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.TALLIED, clock);
    }

    function check_poke_in_drawing_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.DRAWING, clock);
    }

    function check_poke_in_claimable_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.CLAIMABLE, clock);
    }

    function check_poke_in_inspect_works_iff_it_is_due(Clock calldata clock) external {
        _provePoke(State.INSPECT, clock);
    }

    /// @dev Too early: refused as such, in every state. Due: it works, in every state; but the draw waits for its block.
    function _provePoke(State state, Clock calldata clock) private {
        vm.assume(clock.number > 256);
        _put(state, clock.deadline, clock.time);
        vm.roll(clock.number);
        _records[JOB].drawBlock = clock.drawBlock;
        (bool isDone, bytes4 refusal) = _try(abi.encodeCall(_market().poke, (JOB)));
        if (clock.time < clock.deadline) assert(!isDone && refusal == TooEarly.selector);
        else if (state == State.DRAWING && clock.number <= clock.drawBlock) assert(refusal == SeedBlockPending.selector);
        else assert(isDone);
    }

    /// @notice No job, or a closed one: at no time.
    function check_poke_never_moves_what_is_not_there(bool isClosed, uint40 deadline, uint40 time) external {
        _put(isClosed ? State.CLOSED : State.NONE, deadline, time);
        (bool isDone, bytes4 refusal) = _try(abi.encodeCall(_market().poke, (JOB)));
        assert(!isDone && refusal == WrongState.selector);
    }

    function check_actions_of_the_auction(uint8 state, uint40 deadline, uint40 time) external {
        _proveGate(state, deadline, time, State.BIDDING, abi.encodeCall(_market().cancel, (JOB)));
        _proveGate(state, deadline, time, State.BIDDING, abi.encodeCall(_market().commit, (JOB, "commitment")));
        _proveGate(state, deadline, time, State.BIDDING, abi.encodeCall(_market().commitBatch, (JOB, new SignedBid[](1))));
        _proveGate(state, deadline, time, State.REVEALING, abi.encodeCall(_market().revealBatch, (JOB, new Opening[](1))));
    }

    function check_actions_of_the_training(uint8 state, uint40 deadline, uint40 time) external {
        _proveGate(state, deadline, time, State.AWARDED, abi.encodeCall(_market().postKeys, (JOB, "")));
        _proveGate(state, deadline, time, State.KEYED, abi.encodeCall(_market().ack, (JOB)));
        _proveGate(state, deadline, time, State.KEYED, abi.encodeCall(_market().decline, (JOB)));
        _proveGate(state, deadline, time, State.KEYED, abi.encodeCall(_market().complainKey, (JOB)));
        _proveGate(state, deadline, time, State.KEY_DISPUTE, abi.encodeCall(_market().discloseKey, (JOB, "", 0, 0)));
    }

    function check_actions_of_the_committee(uint8 state, uint40 deadline, uint40 time) external {
        ModelRoot memory model;
        _proveGate(state, deadline, time, State.SEED, abi.encodeCall(_market().revealSeed, (JOB, 0, 0, 0, model)));
        _proveGate(state, deadline, time, State.KEYING, abi.encodeCall(_market().complainX, (JOB)));
        _proveGate(state, deadline, time, State.X_DISPUTE, abi.encodeCall(_market().discloseX, (JOB, 0, 0, 0, 0)));
        _proveGate(state, deadline, time, State.VCOMMIT, abi.encodeCall(_market().commitReport, (JOB, "commitment")));
        _proveGate(
            state, deadline, time, State.VCOMMIT, abi.encodeCall(_market().commitReportBatch, (JOB, new SignedReport[](1)))
        );
        _proveGate(state, deadline, time, State.VCOMMIT, abi.encodeCall(_market().complainKeys, (JOB, true)));
        _proveGate(state, deadline, time, State.DISCLOSE, abi.encodeCall(_market().discloseTest, (JOB, "", 0, 0)));
        _proveGate(state, deadline, time, State.DISCLOSE, abi.encodeCall(_market().discloseModel, (JOB, 0, 0, 0, 0)));
        _proveGate(state, deadline, time, State.VREVEAL, abi.encodeCall(_market().revealReports, (JOB, new Report[](1))));
    }

    function check_actions_of_the_verdict(uint8 state, uint40 deadline, uint40 time) external {
        _proveGate(state, deadline, time, State.TALLIED, abi.encodeCall(_market().appeal, (JOB)));
        _proveGate(state, deadline, time, State.CLAIMABLE, abi.encodeCall(_market().claim, (JOB, 0, 0, 0, 0)));
        _proveGate(state, deadline, time, State.INSPECT, abi.encodeCall(_market().inspectAppeal, (JOB)));
    }

    /// @dev In another state: refused as such. In its own: refused as too late iff it is; in time, never for the time.
    function _proveGate(uint8 state, uint40 deadline, uint40 time, State wanted, bytes memory call_) private {
        vm.assume(state <= uint8(State.CLOSED));
        _put(State(state), deadline, time);
        (bool isDone, bytes4 refusal) = _try(call_);
        if (State(state) != wanted) assert(!isDone && refusal == WrongState.selector);
        else if (time >= deadline) assert(!isDone && refusal == TooLate.selector);
        else assert(isDone || (refusal != TooLate.selector && refusal != TooEarly.selector && refusal != WrongState.selector));
    }

    /// @dev A job of the caller's own, which has won it itself, with a committee of none.
    function _put(State state, uint40 deadline, uint40 time) private {
        vm.warp(time);
        delete _records[JOB];
        Record storage record = _records[JOB];
        record.user = address(this);
        record.winner = address(this);
        record.state = state;
        record.deadline = deadline;
        record.reserve = 100;
        record.fee = 2;
        record.seats = 5;
        record.price = 40;
        record.trainingSeconds = 60;
        record.testingSeconds = 30;
    }
}
