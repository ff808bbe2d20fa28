// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDatasetRegistry} from "../interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../interfaces/IOrderEscrow.sol";
import {IRewards} from "../interfaces/IRewards.sol";
import {RewardsPayer} from "./RewardsPayer.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {NOBODY, WHOLE_BPS} from "../types/Units.sol";

/// @notice How the escrow divides money and sends it. Keeps no books: the caller has changed the state before.
abstract contract OrderPayments is RewardsPayer {
    using SafeERC20 for IERC20;

    /// @notice Where slashed money goes that nobody shall gain.
    address public constant BURN_ADDRESS = NOBODY;

    /// @dev Parts of a slashed stake: half rewards whoever showed the fraud, a quarter bounds what the bond adds.
    uint256 private constant _REWARD_PART = 2;
    uint256 private constant _DAMAGES_PART = 4;

    constructor(IERC20 token_, IRewards rewards_) RewardsPayer(token_, rewards_) {}

    /// @dev An account that cannot receive, because the token froze it or its hook reverts, finds the amount among its
    /// rewards and holds up nobody else.
    function _pay(bytes32 order, address account, uint256 amount) internal {
        if (amount == 0 || token.trySafeTransfer(account, amount)) return;
        _fund(amount);
        _book(order, account, amount);
    }

    /// @dev Nobody's from here on. A token that refuses the burn address finds it as one more account that cannot
    /// receive.
    function _burn(bytes32 order, uint256 amount) internal {
        _pay(order, BURN_ADDRESS, amount);
    }

    /// @dev Credits the participants with equal parts.
    /// @return credited what they got together: `amount` less what does not divide.
    function _creditEqually(
        bytes32 order,
        Participant[] calldata participants,
        uint256 amount
    ) internal returns (uint256 credited) {
        uint256 count = participants.length;
        uint256 each = amount / count;
        address[] memory accounts = new address[](count);
        uint256[] memory amounts = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            (accounts[i], amounts[i]) = (participants[i].contributor, each);
        }
        credited = each * count;
        _fund(credited);
        rewards.credit(order, accounts, amounts);
    }

    /// @dev Divides a settled price, the royalties taken off, and the rest of the bond. The tokens are there already.
    function _creditShares(
        bytes32 order,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps,
        uint256 royalties,
        uint256 bondLeft
    ) internal {
        uint256 fee = (terms.price * terms.brokerFeeBps) / WHOLE_BPS;
        uint256[] memory amounts = _divide(terms.price - fee - royalties, sharesBps);
        emit IOrderEscrow.OrderSettled(order, amounts, fee, bondLeft);

        uint256 count = participants.length;
        address[] memory accounts = new address[](count + 1);
        uint256[] memory credits = new uint256[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = participants[i].contributor;
            credits[i] = amounts[i];
        }
        accounts[count] = terms.broker;
        credits[count] = fee + bondLeft;
        rewards.credit(order, accounts, credits);
    }

    /// @dev Credits the contributors of every parent that is not revoked. The tokens are there already.
    /// @return sum of what they got. At most four fifths of the price: eight parents, a tenth each.
    function _creditParents(
        IDatasetRegistry datasets,
        uint256 price,
        uint256[] calldata parents
    ) internal returns (uint256 sum) {
        for (uint256 i = 0; i < parents.length; ++i) {
            uint256 parent = parents[i];
            IDatasetRegistry.Dataset memory found = datasets.datasetOf(parent);
            uint256 amount = (price * found.royaltyBps) / WHOLE_BPS;
            if (amount == 0 || found.status == IDatasetRegistry.Status.Revoked) continue;
            sum += amount;
            rewards.creditDataset(parent, amount);
        }
    }

    /// @dev A false row, or bytes withheld from the buyer. Ratios: docs/decisions/0011.
    function _divideAfterFraud(
        bytes32 order,
        OrderTerms calldata terms,
        uint32 shard,
        address signer,
        address rewarded,
        uint256 slashed,
        uint256 bondLeft
    ) internal {
        uint256 reward = slashed / _REWARD_PART;
        uint256 damages = Math.min(bondLeft, slashed / _DAMAGES_PART);
        uint256 burned = slashed + bondLeft - reward - damages;
        emit IOrderEscrow.OrderRevoked(order, shard, signer, slashed, reward, terms.price + damages, burned);

        _pay(order, terms.buyer, terms.price + damages);
        _pay(order, rewarded, reward);
        _burn(order, burned);
    }

    /// @dev A contributor fell silent after the seed was drawn: the broker keeps its bond.
    function _divideAfterDropOut(
        bytes32 order,
        OrderTerms calldata terms,
        uint256 slashed,
        uint256 bondLeft
    ) internal {
        uint256 refunded = terms.price + slashed / _REWARD_PART;
        emit IOrderEscrow.OrderRefunded(order, refunded);

        _pay(order, terms.buyer, refunded);
        _pay(order, terms.broker, bondLeft);
        _burn(order, slashed - slashed / _REWARD_PART);
    }

    /// @dev Sums to `amount` exactly: the last part takes what rounding leaves.
    function _divide(uint256 amount, uint16[] calldata sharesBps) internal pure returns (uint256[] memory parts) {
        uint256 last = sharesBps.length - 1;
        uint256 left = amount;
        parts = new uint256[](last + 1);
        for (uint256 i = 0; i < last; ++i) {
            parts[i] = (amount * sharesBps[i]) / WHOLE_BPS;
            left -= parts[i];
        }
        parts[last] = left;
    }
}
