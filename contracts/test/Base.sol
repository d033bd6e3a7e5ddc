// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Steps} from "./Steps.sol";

/// @notice From state to state: worker 0 bids 30 and wins at worker 1's 40. Every test starts from one of these.
abstract contract Base is Steps {
    function _toBidding() internal {
        _post();
        _checkState(State.BIDDING);
    }

    function _toRevealing() internal {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(1, 40, true));
        _poke();
        _checkState(State.REVEALING);
    }

    function _toAwarded() internal {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _reveal(_opening(1, 40, true));
        _checkState(State.AWARDED);
    }

    function _toKeyed() internal {
        _toAwarded();
        _postKeys();
        _checkState(State.KEYED);
    }

    function _toKeyDispute() internal {
        _toKeyed();
        _complainKey();
        _checkState(State.KEY_DISPUTE);
    }

    function _toTraining() internal {
        _toKeyed();
        _ack();
        _checkState(State.TRAINING);
    }

    /// @dev And past the block whose hash goes into the seed.
    function _toSeed() internal {
        _toTraining();
        _submitModel();
        _checkState(State.SEED);
        vm.roll(block.number + 3);
    }

    function _toKeying() internal {
        _toSeed();
        _revealSeed();
        _checkState(State.KEYING);
    }

    function _toXDispute() internal {
        _toKeying();
        _complainX();
        _checkState(State.X_DISPUTE);
    }

    function _toVcommit() internal {
        _toKeying();
        _postModelKeys();
        _postTestKeys();
        _checkState(State.VCOMMIT);
    }

    function _toDisclose(bool againstUser) internal {
        _toVcommit();
        _complainKeys(0, againstUser);
        _checkState(State.DISCLOSE);
    }

    function _toVreveal() internal {
        _toVcommit();
        Report[] memory reports = _same(GOOD, _size());
        for (uint256 i = 0; i < reports.length; ++i) {
            _commitReport(reports[i]);
        }
        _checkState(State.VREVEAL);
    }

    /// @dev All of the committee find the same.
    function _toTallied(int64 metric) internal {
        _toVcommit();
        _vote(_same(metric, _size()));
        _checkState(State.TALLIED);
    }

    /// @dev The stranger appeals; past the block whose hash draws the next committee.
    function _toDrawing(int64 metric) internal {
        _toTallied(metric);
        _appeal(stranger);
        _checkState(State.DRAWING);
        vm.roll(block.number + 3);
    }

    /// @dev The second committee, of eleven.
    function _toSecondRound(int64 metric) internal {
        _toDrawing(metric);
        _poke();
        _checkState(State.VCOMMIT);
    }

    function _toClaimable() internal {
        _toTallied(GOOD);
        _poke();
        _checkState(State.CLAIMABLE);
    }

    function _toInspect() internal {
        _toClaimable();
        _claim();
        _checkState(State.INSPECT);
    }

    /// @dev A model that passed, paid for after the user's time to inspect it.
    function _toPaid() internal {
        _toInspect();
        _poke();
        _checkClosed(Outcome.PAID);
    }

    function _to(State state) internal {
        if (state == State.BIDDING) _toBidding();
        else if (state == State.REVEALING) _toRevealing();
        else if (state == State.AWARDED) _toAwarded();
        else if (state == State.KEYED) _toKeyed();
        else if (state == State.KEY_DISPUTE) _toKeyDispute();
        else if (state == State.TRAINING) _toTraining();
        else if (state == State.SEED) _toSeed();
        else if (state == State.KEYING) _toKeying();
        else if (state == State.X_DISPUTE) _toXDispute();
        else if (state == State.VCOMMIT) _toVcommit();
        else if (state == State.DISCLOSE) _toDisclose(false);
        else if (state == State.VREVEAL) _toVreveal();
        else if (state == State.TALLIED) _toTallied(GOOD);
        else if (state == State.DRAWING) _toDrawing(GOOD);
        else if (state == State.CLAIMABLE) _toClaimable();
        else if (state == State.INSPECT) _toInspect();
        else _toPaid();
    }
}
