// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderMoney} from "../../../contracts/escrow/OrderMoney.sol";

/// @dev Exactly the amount, and each contributor has its share in full, or nothing if it is out. Stands outside of the
/// contract, so that the model checker asks about it where it is called, and not for every `out` as well.
function checkShares(uint256 amount, uint16[] calldata sharesBps, uint256 out) pure {
    require(amount <= type(uint128).max && sharesBps.length == 3);
    require(uint256(sharesBps[0]) + sharesBps[1] + sharesBps[2] == 10_000);
    (uint256[] memory parts, uint256 lost) = OrderMoney.divide(amount, sharesBps, out);
    assert(parts[0] + parts[1] + parts[2] + lost == amount);
    assert(parts[0] == (OrderMoney.isOut(out, 0) ? 0 : (amount * sharesBps[0]) / 10_000));
    assert(parts[1] == (OrderMoney.isOut(out, 1) ? 0 : (amount * sharesBps[1]) / 10_000));
    assert(OrderMoney.isOut(out, 2) ? parts[2] == 0 : parts[2] >= (amount * sharesBps[2]) / 10_000);
    assert(parts[2] <= (amount * sharesBps[2]) / 10_000 + 2);
}

/// @notice What `make audit` proves of {OrderMoney}, for all values that `require` lets through, which are those that
/// the escrow accepts: no assertion fails, nothing overflows, underflows or is divided by zero.
contract MoneyProofs {
    /// @dev A stake is one contributor's: all of it goes somewhere, and the signer who shows himself loses half or more.
    function proveStake(uint256 slashed, bool isRewarded) external pure {
        require(slashed <= type(uint128).max);
        (uint256 reward, uint256 held, uint256 burned) = OrderMoney.divideStake(slashed, isRewarded);
        assert(reward + held + burned == slashed);
        assert(2 * reward <= slashed);
        assert(4 * held <= slashed);
        assert(isRewarded || reward == 0);
        // reached
    }

    /// @dev Silence costs a quarter or more, and no more than there is.
    function proveAbsence(uint256 stake, uint256 bond, uint256 bondLeft) external pure {
        require(stake <= type(uint128).max && bond <= type(uint96).max && bondLeft <= bond);
        assert(OrderMoney.cutOf(bond, bondLeft) <= bondLeft);
        assert(10 * OrderMoney.cutOf(bond, bondLeft) <= bond);
        uint256 part = OrderMoney.absenceOf(stake, bond);
        assert(part <= stake);
        assert(part >= stake / 4);
        assert(part >= bond / 10 || part == stake);
        // reached
    }

    /// @dev Stakes of all contributors together cover the terms' stake, and exceed it by rounding only.
    function proveStakes(uint256 stake, uint64 first, uint64 second, uint64 third) external pure {
        require(stake <= type(uint128).max && first != 0 && second != 0 && third != 0);
        uint256 rows = uint256(first) + second + third;
        require(rows <= type(uint64).max);
        uint256 sum = OrderMoney.stakeOf(stake, first, rows) + OrderMoney.stakeOf(stake, second, rows);
        sum += OrderMoney.stakeOf(stake, third, rows);
        assert(sum >= stake);
        assert(sum <= stake + 2);
        // reached
    }

    function proveDeposit(uint256 price, uint64 rows, uint64 allRows) external pure {
        require(price <= type(uint128).max && allRows != 0 && rows <= allRows);
        uint256 deposit = OrderMoney.depositOf(price, rows, allRows);
        assert(10 * deposit <= price);
        // Fits the 128 bits that it is stored in.
        assert(deposit <= type(uint128).max);
        // reached
    }

    /// @dev The base of a settlement pays fee and eight royalties, and something is left or the base is nothing.
    function proveBase(
        uint256 price,
        uint64 rows,
        uint64 dropped,
        uint256 feeBps,
        uint256 royaltyBps
    ) external pure {
        require(price <= type(uint128).max && rows != 0 && dropped <= rows);
        require(feeBps <= 2_000 && royaltyBps <= 1_000);
        uint256 base = OrderMoney.baseOf(price, rows, dropped);
        assert(base <= price);
        assert(dropped != 0 || base == price);
        assert(OrderMoney.partOf(base, feeBps) + 8 * OrderMoney.partOf(base, royaltyBps) <= base);
        // reached
    }

    /// @dev Three shares, of which none, one or two are out. Where all are out the order has ended.
    function proveShares(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 0);
        // reached
    }

    function proveSharesWithoutTheFirst(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 1);
        // reached
    }

    function proveSharesWithoutTheSecond(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 2);
        // reached
    }

    function proveSharesOfTheThirdAlone(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 3);
        // reached
    }

    function proveSharesWithoutTheThird(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 4);
        // reached
    }

    function proveSharesOfTheSecondAlone(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 5);
        // reached
    }

    function proveSharesOfTheFirstAlone(uint256 amount, uint16[] calldata sharesBps) external pure {
        checkShares(amount, sharesBps, 6);
        // reached
    }

    /// @dev Every wei of a settlement goes somewhere. The buyer gets what its lost rows cost, as far as the damages
    /// reach, and no more than the price.
    function proveSettlement(
        OrderMoney.Settlement memory paid,
        uint256 price,
        uint64 rows,
        uint256 feeBps,
        uint256 royalties,
        uint256 lost
    ) external pure {
        require(price <= type(uint128).max && rows != 0);
        require(paid.droppedRows <= rows && paid.convictedRows <= rows - paid.droppedRows);
        require(paid.damages <= type(uint128).max && feeBps <= 2_000);
        uint256 base = OrderMoney.baseOf(price, rows, paid.droppedRows);
        uint256 fee = OrderMoney.partOf(base, feeBps);
        require(royalties <= base - fee && lost <= base - fee - royalties);
        (paid.base, paid.fee, paid.lost) = (base, fee, lost);
        (uint256 refunded, uint256 burned) = OrderMoney.refund(paid, price, rows);
        assert(refunded <= price);
        assert(burned <= paid.damages);
        // Contributors, parents and broker are credited with the rest of the base.
        uint256 credited = base - lost;
        if (paid.feeForfeit) credited -= fee;
        assert(credited + refunded + burned == price + paid.damages);
        assert(refunded >= price - base + lost);
        assert(refunded == price || burned == 0 || refunded >= price - base + (price * paid.convictedRows) / rows);
        // Damages are no gain: without a forfeit the buyer has its lost rows' part of the price, or their shares.
        uint256 due = (price * paid.convictedRows) / rows;
        assert(paid.feeForfeit || refunded <= price - base + (due > lost ? due : lost));
        // reached
    }
}
