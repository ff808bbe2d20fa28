// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IRoyalties} from "./interfaces/IRoyalties.sol";
import {RoyaltyReceiver} from "./RoyaltyReceiver.sol";

/// @notice Described in {IRoyalties}.
contract Royalties is IRoyalties, ReentrancyGuardTransient {
    IERC20 public immutable token;
    IDatasetRegistry public immutable datasets;
    IRewards public immutable rewards;
    /// @notice The code that receivers are clones of.
    address public immutable implementation;

    constructor(IERC20 token_, IDatasetRegistry datasets_, IRewards rewards_) {
        token = token_;
        datasets = datasets_;
        rewards = rewards_;
        implementation = address(new RoyaltyReceiver(token_, address(rewards_)));
    }

    /// @inheritdoc IRoyalties
    function collect(uint256 dataset) external nonReentrant returns (uint256 amount) {
        IDatasetRegistry.Status status = datasets.datasetOf(dataset).status;
        if (status == IDatasetRegistry.Status.None) revert Royalties_UnknownDataset(dataset);
        address receiver = receiverOf(dataset);
        if (token.balanceOf(receiver) == 0) revert Royalties_NothingToCollect(dataset);

        if (receiver.code.length == 0) Clones.cloneDeterministic(implementation, bytes32(dataset));
        uint256 before = token.balanceOf(address(rewards));
        uint256 sent = RoyaltyReceiver(receiver).sweep();
        amount = Math.min(sent, token.balanceOf(address(rewards)) - before);
        emit RoyaltiesCollected(dataset, receiver, amount);

        rewards.creditDataset(dataset, amount);
    }

    /// @inheritdoc IRoyalties
    function receiverOf(uint256 dataset) public view returns (address) {
        return Clones.predictDeterministicAddress(implementation, bytes32(dataset));
    }
}
