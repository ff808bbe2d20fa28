// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Participant} from "../types/OrderTerms.sol";

/// @title What the market owes, by account and by data set, until it is fetched
/// @notice Paying by pull keeps one account that cannot receive from blocking the others. Royalties of a data set
/// gather in its pot, since who pays them does not hold the list of its contributors; anyone who does may have the pot
/// divided. Its token balance is never less than the sum of all balances and pots.
/// @dev Privileges:
/// - the order escrow and the sales contract may credit accounts; they, and the royalties contract, may credit pots.
///   All must have transferred the tokens before, and the token must move what it is told: with one that takes a fee
///   of every transfer the last to claim would go without;
/// - anyone may have an account's balance sent to that account's payout address, and to no other;
/// - the signer for an account's payout address may name another one;
/// - anyone may have a pot divided among its data set's contributors, in the shares that they signed.
/// There is no owner and no other way out.
interface IRewards {
    /// @notice `account` may claim `amount` wei more, earned in `order`.
    event RewardCredited(bytes32 indexed order, address indexed account, uint256 amount);
    /// @notice `amount` wei of what `account` earned were sent to its payout address.
    event RewardClaimed(address indexed account, uint256 amount);
    /// @notice The pot of `dataset` holds `amount` wei more, by way of contract `by`.
    event DatasetCredited(uint256 indexed dataset, address indexed by, uint256 amount);
    /// @notice `amount` wei of the pot were credited to the contributors; `left` remain for the next time.
    event DatasetDistributed(uint256 indexed dataset, uint256 amount, uint256 left);
    /// @notice The pot of a revoked data set was destroyed.
    event DatasetBurned(uint256 indexed dataset, uint256 amount);
    /// @notice Claims of `account` now go to `payout`.
    event PayoutSet(address indexed account, address indexed payout);

    /// @notice The caller may not credit.
    error Rewards_Unauthorized(address caller);
    /// @notice The account's balance is zero.
    error Rewards_NothingToClaim(address account);
    /// @notice Every account needs one amount.
    error Rewards_LengthMismatch(uint256 accounts, uint256 amounts);
    /// @notice The pot is too small to give anybody one wei.
    error Rewards_NothingToDistribute(uint256 dataset, uint256 balance);
    /// @notice The data set is unknown, or its order is not settled: its contributors are not known to be honest.
    error Rewards_NotSettled(uint256 dataset);
    /// @notice These are not the participants of the data set's order.
    error Rewards_WrongParticipants(uint256 dataset);
    /// @notice These are not the shares that its contributors signed.
    error Rewards_WrongShares(uint256 dataset);
    /// @notice Possible only up to chain time `deadline`.
    error Rewards_TooLate(uint256 deadline);
    /// @notice Nobody could fetch what is sent there.
    error Rewards_UselessPayout(address payout);
    /// @notice `signer`, the payout address until now, did not sign this.
    error Rewards_InvalidSignature(address signer);

    /// @notice Adds to balances. Order escrow and sales only, after they transferred the sum.
    function credit(bytes32 order, address[] calldata accounts, uint256[] calldata amounts) external;

    /// @notice Adds to a pot. Order escrow, sales and royalties only, after they transferred the amount; they vouch
    /// that the data set exists.
    function creditDataset(uint256 dataset, uint256 amount) external;

    /// @notice Divides a pot among the contributors of its data set, once its order is settled. Anyone. Those whose
    /// shards are out get nothing, the others by their shares of what is left. What rounding leaves stays in the pot.
    /// The pot of a revoked data set, or of one whose honest contributors have no share, is sent to 0x..dEaD instead:
    /// who paid it cannot be told any more, and a false signer must not earn by it.
    /// @param participants as matched.
    /// @param sharesBps as published.
    /// @return amount taken out of the pot, in token wei.
    function distribute(
        uint256 dataset,
        Participant[] calldata participants,
        uint16[] calldata sharesBps
    ) external returns (uint256 amount);

    /// @notice Has the claims of `account` sent to another address from now on, those earned before included. Anyone
    /// may bring the signature.
    /// @dev Signed by the payout address until now, which is the account itself at first (ERC-1271 for contracts): who
    /// has a rotated-out key can do nothing any more. A payout address that cannot sign is final.
    /// @param deadline last chain time (seconds) at which the signature counts.
    /// @param signature over Payout(address account,address payout,uint256 nonce,uint256 deadline) in the market's
    /// domain, with the nonce that {nonces} tells.
    function setPayout(address account, address payout, uint256 deadline, bytes calldata signature) external;

    /// @notice Sends the caller's balance to its payout address.
    /// @return amount in token wei.
    function claim() external returns (uint256 amount);

    /// @notice Sends the balance of `account` to its payout address, whoever asks (a relayer may pay the gas).
    /// @return amount in token wei.
    function claimFor(address account) external returns (uint256 amount);

    /// @return Token wei that `account` may claim now.
    function claimable(address account) external view returns (uint256);

    /// @return Token wei in the pot of `dataset`.
    function datasetBalance(uint256 dataset) external view returns (uint256);

    /// @return Where claims of `account` go.
    function payoutOf(address account) external view returns (address);

    /// @return Payout rotations of `account` so far: the nonce of the next.
    function nonces(address account) external view returns (uint256);
}
