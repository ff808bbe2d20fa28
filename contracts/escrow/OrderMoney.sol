// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {WHOLE_BPS} from "../types/Units.sol";

/// @notice How the money of an order is divided: sums only, no state, no transfer. Ratios: docs/decisions/0011.
/// @dev All divisions round down. `make audit` proves what tests/contracts/proofs/MoneyProofs.sol asserts of them.
library OrderMoney {
    /// @dev What the escrow knows of a published order when it is settled.
    struct Settlement {
        uint256 out;
        uint256 droppedRows;
        uint256 convictedRows;
        uint256 damages;
        uint256 bondLeft;
        bool feeForfeit;
        // The rest is filled in by the settlement: the price of the rows that were not dropped, and how it is divided.
        uint256 base;
        uint256 fee;
        uint256 lost;
        uint256 refunded;
        uint256 burned;
    }

    uint256 private constant _CUTS_OF_A_BOND = 10;
    uint256 private constant _DEPOSITS_OF_A_PRICE = 10;
    uint256 private constant _PARTS_OF_A_STAKE = 4;
    uint256 private constant _REWARD_PART = 2;

    /// @dev What a contributor with `rows` of `allRows` rows has at stake, rounded up.
    function stakeOf(uint256 stake, uint256 rows, uint256 allRows) internal pure returns (uint256) {
        return (stake * rows + allRows - 1) / allRows;
    }

    /// @dev What a demand about `rows` of `allRows` rows costs: a tenth of their part of the price.
    function depositOf(uint256 price, uint256 rows, uint256 allRows) internal pure returns (uint256) {
        return (price * rows) / (allRows * _DEPOSITS_OF_A_PRICE);
    }

    /// @dev A tenth of the bond that was posted, or what is left of it.
    function cutOf(uint256 bond, uint256 bondLeft) internal pure returns (uint256 cut) {
        cut = bond / _CUTS_OF_A_BOND;
        if (cut > bondLeft) cut = bondLeft;
    }

    /// @dev What silence about an evaluation costs.
    function fineOf(uint256 stake) internal pure returns (uint256) {
        return stake / _PARTS_OF_A_STAKE;
    }

    /// @dev What silence before the commit costs: a quarter of the stake, but no less than giving up would have cost
    /// the broker, whose way out this is.
    function absenceOf(uint256 stake, uint256 bond) internal pure returns (uint256 part) {
        uint256 cut = cutOf(bond, stake);
        part = fineOf(stake);
        if (part < cut) part = cut;
    }

    /// @dev How a convicted stake is divided. Nobody is rewarded for silence, which costs a demander nothing.
    function divideStake(
        uint256 slashed,
        bool isRewarded
    ) internal pure returns (uint256 reward, uint256 held, uint256 burned) {
        reward = isRewarded ? slashed / _REWARD_PART : 0;
        held = slashed / _PARTS_OF_A_STAKE;
        burned = slashed - reward - held;
    }

    /// @dev What a settlement divides: the price less the part of dropped rows.
    function baseOf(uint256 price, uint256 rows, uint256 droppedRows) internal pure returns (uint256) {
        return (price * (rows - droppedRows)) / rows;
    }

    /// @dev The broker's fee, or a parent's royalty.
    function partOf(uint256 base, uint256 bps) internal pure returns (uint256) {
        return (base * bps) / WHOLE_BPS;
    }

    /// @dev Parts by shares, which sum to `amount` exactly: the last takes what rounding leaves.
    /// @return parts of the shards that are not out.
    /// @return lost parts of those that are out.
    function divide(
        uint256 amount,
        uint16[] calldata sharesBps,
        uint256 out
    ) internal pure returns (uint256[] memory parts, uint256 lost) {
        uint256 last = sharesBps.length - 1;
        uint256 left = amount;
        parts = new uint256[](last + 1);
        for (uint256 i = 0; i <= last; ++i) {
            uint256 part = i == last ? left : (amount * sharesBps[i]) / WHOLE_BPS;
            left -= part;
            if (isOut(out, i)) lost += part;
            else parts[i] = part;
        }
    }

    /// @dev What the buyer gets back of price and damages: the part of dropped rows, the shares of convicted
    /// contributors (`paid.lost`), a fee that is forfeit, and damages up to the convicted rows' part of the price.
    /// Never more than the price.
    /// @return refunded to the buyer.
    /// @return burned of the damages.
    function refund(
        Settlement memory paid,
        uint256 price,
        uint256 rows
    ) internal pure returns (uint256 refunded, uint256 burned) {
        refunded = price - paid.base + paid.lost;
        if (paid.feeForfeit) refunded += paid.fee;
        uint256 lacking = (price * paid.convictedRows) / rows;
        lacking = lacking > paid.lost ? lacking - paid.lost : 0;
        if (lacking > price - refunded) lacking = price - refunded;
        uint256 damages = paid.damages < lacking ? paid.damages : lacking;
        return (refunded + damages, paid.damages - damages);
    }

    function isOut(uint256 out, uint256 shard) internal pure returns (bool) {
        return (out >> shard) & 1 == 1;
    }
}
