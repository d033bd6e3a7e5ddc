// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IDesk} from "./IMarket.sol";
import {JobViews} from "./JobViews.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {MarketStorage} from "./MarketStorage.sol";
import {SealedReports} from "./SealedReports.sol";
import {Seats} from "./Seats.sol";
import {Training} from "./Training.sol";
import {Trial} from "./Trial.sol";

/// @title The market: a job from posting to payout, between parties who need not trust each other.
/// @notice No owner, no upgrade, no pause. Every state has a deadline and every deadline an outcome, and anybody may
///         `poke`: no job and no money waits for a party that has gone.
/// @dev One contract in two halves, because of EIP-170. This half takes what people bring; whatever it does not know
///      itself it runs from `trial`, whose code this constructor fixes, and which works on this storage.
///      `multicall` calls this address again, so both halves can be called in one transaction (poke and claim).
contract Market is Ledger, Seats, Training, Keys, SealedReports, JobViews, Multicall {
    uint256 private constant MOST_ADDRESSES = 8;
    uint256 private constant MOST_ADDRESS_BYTES = 200;

    /// @notice The other half's code. It has no storage, money or power of its own.
    address public immutable trial;

    /// @param token_ The token of all amounts.
    /// @param seatStake_ Wei that one validator seat holds.
    /// @param timing_ How long every party has.
    constructor(IERC20 token_, uint96 seatStake_, Timing memory timing_)
        MarketStorage(token_, seatStake_, timing_)
        EIP712("Morphware", "1")
    {
        trial = address(new Trial(token_, seatStake_, timing_));
    }

    /// @notice Every call that this half does not know, the other one answers, here.
    fallback(bytes calldata call_) external returns (bytes memory) {
        return Address.functionDelegateCall(trial, call_);
    }

    /// @notice Publishes the caller's public keys and addresses, for those who missed its node record.
    /// @param encryptionKey X25519, for sealed boxes.
    /// @param peerKey Ed25519, the node's identity in the peer-to-peer network.
    /// @param addresses At most 8, of at most 200 bytes each.
    function publishNode(bytes32 encryptionKey, bytes32 peerKey, string[] calldata addresses) external {
        _onlyUpTo(addresses.length, MOST_ADDRESSES);
        for (uint256 i = 0; i < addresses.length; ++i) {
            _onlyUpTo(bytes(addresses[i]).length, MOST_ADDRESS_BYTES);
        }
        emit NodePublished(msg.sender, encryptionKey, peerKey, addresses);
    }

    /// @notice Several calls in one transaction, all or none; `msg.sender` stays the caller.
    function multicall(bytes[] calldata data) public override(IDesk, Multicall) returns (bytes[] memory results) {
        return super.multicall(data);
    }
}
