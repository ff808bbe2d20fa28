// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IDatasetRegistry} from "../interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../interfaces/IOrderEscrow.sol";
import {IRewards} from "../interfaces/IRewards.sol";
import {OrderMoney} from "./OrderMoney.sol";
import {RewardsPayer} from "./RewardsPayer.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {NOBODY} from "../types/Units.sol";

/// @notice How the escrow sends what {OrderMoney} divides. Keeps no books: the caller has changed the state before.
abstract contract OrderPayments is RewardsPayer {
    using SafeERC20 for IERC20;

    /// @dev How a convicted stake is divided.
    struct Conviction {
        uint32 shard;
        address contributor;
        address rewarded;
        uint256 slashed;
        uint256 reward;
        uint256 held;
        uint256 burned;
    }

    /// @notice Where slashed money goes that nobody shall gain.
    address public constant BURN_ADDRESS = NOBODY;

    address public immutable datasets;

    constructor(IERC20 token_, IRewards rewards_, address datasets_) RewardsPayer(token_, rewards_) {
        datasets = datasets_;
    }

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

    /// @dev Credits the participants that are not out with equal parts.
    /// @return credited what they got together: `amount` less what does not divide.
    function _creditEqually(
        bytes32 order,
        Participant[] calldata participants,
        uint256 out,
        uint256 amount
    ) internal returns (uint256 credited) {
        uint256 count = participants.length;
        uint256 standing = 0;
        address[] memory accounts = new address[](count);
        uint256[] memory amounts = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = participants[i].contributor;
            if (!OrderMoney.isOut(out, i)) (amounts[i], standing) = (1, standing + 1);
        }
        // An order without contributors has ended.
        uint256 each = amount / standing;
        for (uint256 i = 0; i < count; ++i) {
            amounts[i] *= each;
        }
        credited = each * standing;
        _fund(credited);
        rewards.credit(order, accounts, amounts);
    }

    /// @dev Divides price, damages and the rest of the bond. The buyer's part is sent, what is left of the damages is
    /// burned, all else is credited.
    function _settle(
        bytes32 order,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps,
        uint256[] calldata parents,
        OrderMoney.Settlement memory paid
    ) internal {
        paid.base = OrderMoney.baseOf(terms.price, terms.rows, paid.droppedRows);
        paid.fee = OrderMoney.partOf(paid.base, terms.brokerFeeBps);
        uint256[] memory amounts;
        (amounts, paid.lost) = OrderMoney.divide(
            paid.base - paid.fee - _creditParents(paid.base, parents),
            sharesBps,
            paid.out
        );
        (paid.refunded, paid.burned) = OrderMoney.refund(paid, terms.price, terms.rows);
        if (paid.feeForfeit) paid.fee = 0;

        emit IOrderEscrow.OrderSettled(order, amounts, paid.fee, paid.bondLeft);
        _fund(terms.price + paid.damages + paid.bondLeft - paid.refunded - paid.burned);
        _creditShares(order, terms.broker, participants, amounts, paid.fee + paid.bondLeft);
        if (paid.refunded == 0 && paid.burned == 0) return;
        emit IOrderEscrow.OrderReduced(order, paid.refunded, paid.burned);
        _pay(order, terms.buyer, paid.refunded);
        _burn(order, paid.burned);
    }

    /// @dev The tokens are there already.
    function _creditShares(
        bytes32 order,
        address broker,
        Participant[] calldata participants,
        uint256[] memory amounts,
        uint256 brokerAmount
    ) private {
        uint256 count = participants.length;
        address[] memory accounts = new address[](count + 1);
        uint256[] memory credits = new uint256[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = participants[i].contributor;
            credits[i] = amounts[i];
        }
        accounts[count] = broker;
        credits[count] = brokerAmount;
        rewards.credit(order, accounts, credits);
    }

    /// @dev Credits the contributors of every parent that is not revoked. The tokens come in the same transaction.
    /// @return sum of what they got. At most four fifths of the base: eight parents, a tenth each.
    function _creditParents(uint256 base, uint256[] calldata parents) private returns (uint256 sum) {
        for (uint256 i = 0; i < parents.length; ++i) {
            uint256 parent = parents[i];
            IDatasetRegistry.Dataset memory found = IDatasetRegistry(datasets).datasetOf(parent);
            uint256 amount = OrderMoney.partOf(base, found.royaltyBps);
            if (amount == 0 || found.status == IDatasetRegistry.Status.Revoked) continue;
            sum += amount;
            rewards.creditDataset(parent, amount);
        }
    }

    /// @dev Pays what a conviction pays at once.
    function _payConviction(bytes32 order, Conviction memory found) internal {
        emit IOrderEscrow.ShardConvicted(
            order,
            found.shard,
            found.contributor,
            found.slashed,
            found.reward,
            found.held,
            found.burned
        );
        _pay(order, found.rewarded, found.reward);
        _burn(order, found.burned);
    }
}
