// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IMarket} from "./IMarket.sol";

/// @title Money comes in by `deposit`, moves between balances inside, and goes out only by the owner's `withdraw`.
/// @notice No job ever calls a token or a receiver, so no receiver can stop a job. Burned money stays in the contract,
///         out of everybody's reach, and is counted.
/// @dev The one outside call is to the token, and the balances are settled before it (checks, effects, interactions).
abstract contract Ledger is IMarket {
    using SafeERC20 for IERC20;

    /// @notice The token of all amounts. Trusted to move exactly what it is told (no fee on transfers, no rebasing).
    IERC20 public immutable token;

    mapping(address account => uint256 wei_) private _free;

    /// @dev Deposits minus withdrawals. As it fits 96 bits, every balance and every sum of balances does.
    uint96 private _total;
    uint96 private _burned;

    constructor(IERC20 token_) {
        token = token_;
    }

    /// @notice Adds `amount` wei from the caller's wallet (allowance needed) to its free balance.
    function deposit(uint96 amount) external {
        _deposit(amount);
    }

    /// @notice `deposit` with the allowance given by an EIP-2612 signature.
    /// @dev A stranger may have used the signature already; then its allowance stands, and the deposit goes through.
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _deposit(amount);
    }

    /// @notice Moves `amount` wei from the caller's free balance to its wallet.
    function withdraw(uint96 amount) external {
        _debit(msg.sender, amount);
        _total -= amount;
        emit Withdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice What `account` may withdraw, bid or stake, in wei.
    function freeBalance(address account) external view returns (uint256) {
        return _free[account];
    }

    /// @notice Wei taken out of circulation since deployment.
    function burned() external view returns (uint256) {
        return _burned;
    }

    /// @notice Deposits minus withdrawals, in wei: the sum of free balances, stakes, jobs' holdings and burned money.
    function total() external view returns (uint256) {
        return _total;
    }

    function _credit(address account, uint256 amount) internal {
        _free[account] += amount;
    }

    function _debit(address account, uint256 amount) internal {
        uint256 balance = _free[account];
        if (balance < amount) revert InsufficientBalance(account, balance, amount);
        _free[account] = balance - amount;
    }

    /// @dev Counts what the caller has already taken out of some balance.
    function _countBurned(uint96 amount) internal {
        _burned += amount;
    }

    function _deposit(uint96 amount) private {
        _total += amount;
        _credit(msg.sender, amount);
        emit Deposited(msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }
}
