// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The token in which jobs are paid: a fixed supply, no owner, allowances by signature (EIP-2612).
contract MorphwareToken is ERC20, ERC20Permit {
    /// @notice Mints the whole supply, for ever, to `holder`.
    /// @param holder The account that receives every token.
    /// @param supply Wei of token, 18 decimals. It must fit 96 bits, the market's unit of account.
    constructor(address holder, uint96 supply) ERC20("Morphware", "MWT") ERC20Permit("Morphware") {
        _mint(holder, supply);
    }
}
