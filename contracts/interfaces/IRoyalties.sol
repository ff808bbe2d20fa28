// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Addresses that take royalties for data sets
/// @notice ERC-2981 names one receiver for a sale. Each data set has its own, so that what arrives there belongs to its
/// contributors without anybody having to say so. The address is known before anything stands at it; the first
/// {collect} puts a minimal clone (ERC-1167) there.
/// @dev Privileges: none. Anyone may collect; the money goes to the data set's pot in the rewards contract, and
/// nowhere else. There is no owner.
///
/// What is lost: a receiver can hand on the market's token and nothing else. Ether and other tokens sent there stay
/// there for good, since a rule to divide them would need an owner or a second rewards contract.
interface IRoyalties {
    /// @notice `amount` wei went from the receiver of `dataset` to its pot.
    event RoyaltiesCollected(uint256 indexed dataset, address indexed receiver, uint256 amount);

    error Royalties_UnknownDataset(uint256 dataset);
    /// @notice The receiver of the data set holds none of the market's token.
    error Royalties_NothingToCollect(uint256 dataset);

    /// @notice Moves the whole token balance of a data set's receiver to its pot. Anyone. Deploys the receiver first
    /// when it does not exist.
    /// @dev Credits what arrived, and never more than what was sent: a token that takes a fee costs the contributors
    /// the fee, and one that runs foreign code in between cannot have that code's payments counted twice.
    /// @return amount in token wei.
    function collect(uint256 dataset) external returns (uint256 amount);

    /// @return Where royalties of `dataset` go, deployed or not.
    function receiverOf(uint256 dataset) external view returns (address);
}
