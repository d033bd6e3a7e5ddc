// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Market} from "../src/Market.sol";
import {MorphwareToken} from "../src/MorphwareToken.sol";
import {Clearing} from "./Clearing.sol";
import {Conservation} from "./Conservation.sol";
import {Deadlines} from "./Deadlines.sol";

/// @notice All proofs, in one contract: it compiles once. `make contracts-campaign ONLY=proofs` runs them.
contract Proofs is Clearing, Conservation, Deadlines {
    constructor() Market(IERC20(address(new MorphwareToken(address(0xBA4C), type(uint96).max))), STAKE, _timing()) {}
}
