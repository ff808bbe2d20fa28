// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Contracts that name each other, at addresses known before
/// @notice Creates the contracts of one plan, one a transaction, in the plan's order. The plan is fixed at
/// construction, and nothing is created that is not in it, so anyone may take any step. Created by CREATE2 itself, this
/// contract has an address that depends on its plan alone, and so have all that it creates: they are the same on every
/// chain.
/// @dev State: how many contracts exist. Privileges: none. Money: none.
interface IMarketDeployer {
    /// @notice One contract of the plan.
    /// @param code creation code without constructor arguments.
    /// @param words the constructor arguments, one 32-byte word each.
    /// @param siblings bit i: words[i] is the number of a contract of the plan, and stands for its address.
    struct Step {
        bytes code;
        bytes32[] words;
        uint256 siblings;
    }

    /// @notice Contract `number` of the plan exists.
    event ContractCreated(uint256 indexed number, address created);

    /// @notice Every contract of the plan exists.
    error MarketDeployer_Complete(uint256 contracts);
    /// @notice These are not the digests that the plan was made of.
    error MarketDeployer_WrongPlan(bytes32 found, bytes32 expected);
    /// @notice Step `number` comes next, and this is another.
    error MarketDeployer_WrongStep(uint256 number, bytes32 found, bytes32 expected);
    /// @notice A plan has contracts with numbers up to `maximum`.
    error MarketDeployer_NumberOutOfRange(uint256 number, uint256 maximum);

    /// @notice Takes the next step.
    /// @param digests keccak256 of each encoded step of the plan.
    function create(bytes32[] calldata digests, Step calldata step) external returns (address made);

    /// @notice keccak256 of the encoded array of digests.
    function plan() external view returns (bytes32);

    /// @notice Chain time at which this contract was created: nothing of the market is older.
    function createdAt() external view returns (uint64);

    /// @notice Number of contracts that exist.
    function created() external view returns (uint256);

    /// @notice Where contract `number` stands or will stand.
    function addressOf(uint256 number) external view returns (address);
}
