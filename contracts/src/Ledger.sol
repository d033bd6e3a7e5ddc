// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IDesk} from "./IMarket.sol";
import {MarketRules} from "./MarketRules.sol";

/// @title Money in, money out.
/// @dev The one outside call is to the token, and the balances are settled before it (checks, effects, interactions).
abstract contract Ledger is IDesk, MarketRules {
    using SafeERC20 for IERC20;

    /// @notice Adds `amount` wei from the caller's wallet (allowance needed) to its free balance.
    function deposit(uint96 amount) external {
        _deposit(amount);
    }

    /// @notice `deposit` with the allowance given by an EIP-2612 signature.
    /// @dev A stranger may have used the signature already; then its allowance stands, and the deposit goes through.
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        try IERC20Permit(address(_token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _deposit(amount);
    }

    /// @notice Moves `amount` wei from the caller's free balance to its wallet.
    function withdraw(uint96 amount) external {
        _debit(msg.sender, amount);
        _total -= amount;
        emit Withdrawn(msg.sender, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @notice Gives `amount` wei of the caller's free balance to the audit pool, from where it never comes back.
    function fundAudits(uint96 amount) external {
        _debit(msg.sender, amount);
        _auditPool += amount;
        emit AuditsFunded(msg.sender, amount);
    }

    function _deposit(uint96 amount) private {
        _total += amount;
        _credit(msg.sender, amount);
        emit Deposited(msg.sender, amount);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }
}
