// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {Market} from "./Market.sol";

/// @notice Drives many orders through a market at random and keeps its own books of where the money should be.
contract OrderWalk is Market {
    enum Stage {
        Open,
        Matched,
        Committed,
        Drawn,
        Published,
        Over
    }

    uint256 private constant _MAX_ORDERS = 6;

    OrderTerms[] private _orders;
    bytes32[] private _ids;
    Stage[] private _stages;
    uint256[] private _bonds;

    /// @notice Whether the walk ever got as far as a settlement, a refund and a missed draw.
    uint256 public settled;
    uint256 public refunded;
    uint256 public missed;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
    }

    // -- what the books say -------------------------------------------------------------------------------------

    function expectedEscrow() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_stages[i] == Stage.Over) continue;
            sum += _orders[i].price + _bonds[i];
        }
    }

    function expectedReserved() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_stages[i] != Stage.Open && _stages[i] != Stage.Over) sum += STAKE;
        }
    }

    function escrowBalance() external view returns (uint256) {
        return token.balanceOf(address(escrow));
    }

    function rewardsBalance() external view returns (uint256) {
        return token.balanceOf(address(rewards));
    }

    function registryBalance() external view returns (uint256) {
        return token.balanceOf(address(registry));
    }

    function owed() external view returns (uint256 sum) {
        sum = rewards.claimable(buyer) + rewards.claimable(broker);
        for (uint256 k = 0; k < 3; ++k) {
            sum += rewards.claimable(_node(k));
        }
    }

    function stake(uint256 k) external view returns (uint256 all, uint256 reserved) {
        uint256 free;
        uint256 unbonding;
        (free, reserved, unbonding, , ) = registry.stakeOf(_node(k));
        all = free + reserved + unbonding;
    }

    // -- steps --------------------------------------------------------------------------------------------------

    function place(uint256 price, uint256 bond, uint16 feeBps) external {
        if (_orders.length == _MAX_ORDERS) return;
        OrderTerms memory terms = _terms();
        uint64 now_ = uint64(vm.getBlockTimestamp());
        terms.price = bound(price, 0, 1_000 ether);
        terms.bond = bound(bond, 0, 100 ether);
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        (terms.matchBy, terms.deliverBy) = (now_ + 1 hours, now_ + 1 days);
        terms.salt = bytes32(_orders.length);
        _ids.push(escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit()));
        _orders.push(terms);
        _stages.push(Stage.Open);
        _bonds.push(0);
    }

    /// @notice One step towards settlement, when the order can take it.
    function advance(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        Stage stage = _stages[i];
        uint256 now_ = vm.getBlockTimestamp();
        if (stage == Stage.Open && now_ <= _orders[i].matchBy) _matchOne(i);
        if (stage == Stage.Matched) _commitOne(i);
        if (stage == Stage.Committed) _drawOne(i);
        if (stage == Stage.Drawn && now_ <= _orders[i].deliverBy) _publishOne(i);
        if (stage == Stage.Published) _settleOne(i);
    }

    /// @notice The way out that fits the order's state and the time.
    function quit(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        bool broken = (choice >> 128) % 2 == 0;
        Stage stage = _stages[i];
        if (stage == Stage.Published || stage == Stage.Over) return;
        bool late = vm.getBlockTimestamp() > (stage == Stage.Open ? _orders[i].matchBy : _orders[i].deliverBy);
        if (late) {
            escrow.refund(_orders[i], stage == Stage.Open ? _nobody() : _participants());
            ++refunded;
        } else if (stage == Stage.Open && broken) {
            vm.prank(buyer);
            escrow.cancel(_orders[i]);
        } else if (broken) {
            vm.prank(broker);
            escrow.abandon(_orders[i], stage == Stage.Open ? _nobody() : _participants());
        } else {
            return;
        }
        _stages[i] = Stage.Over;
    }

    function claim(uint256 choice) external {
        address account = choice % 4 == 3 ? broker : _node(choice % 4);
        if (rewards.claimable(account) != 0) rewards.claimFor(account);
    }

    function wait(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 3 hours));
        vm.roll(vm.getBlockNumber() + bound(time, 1, 200));
    }

    function _matchOne(uint256 i) private {
        (uint256 free, , , , ) = registry.stakeOf(_node(0));
        if (free < STAKE) return;
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_ids[i], _participants());
        vm.prank(broker);
        escrow.matchOrder(_orders[i], _participants(), acceptances, maxRows);
        _stages[i] = Stage.Matched;
        _bonds[i] = _orders[i].bond;
    }

    function _commitOne(uint256 i) private {
        commitment.commit(_ids[i], _participants(), _models(), _modelSignatures(_ids[i]));
        _stages[i] = Stage.Committed;
    }

    function _drawOne(uint256 i) private {
        (, , uint64 targetBlock, , ) = commitment.commitmentOf(_ids[i]);
        uint256 number = vm.getBlockNumber();
        if (number <= targetBlock) return;
        if (number <= targetBlock + 256) {
            commitment.drawSeed(_ids[i]);
            _stages[i] = Stage.Drawn;
            return;
        }
        commitment.redraw(_ids[i]);
        uint256 tenth = _orders[i].bond / 10;
        _bonds[i] -= tenth < _bonds[i] ? tenth : _bonds[i];
        ++missed;
    }

    function _publishOne(uint256 i) private {
        IDatasetRegistry.DatasetRecord memory record = _record(_ids[i]);
        vm.prank(broker);
        datasets.publish(_orders[i], _participants(), record);
        _stages[i] = Stage.Published;
    }

    function _settleOne(uint256 i) private {
        (, uint64 publishedAt, , , , , ) = escrow.orderOf(_ids[i]);
        if (vm.getBlockTimestamp() <= publishedAt + _orders[i].challengeSeconds) return;
        escrow.settle(_orders[i], _participants(), _shares(), _noParents());
        _stages[i] = Stage.Over;
        ++settled;
    }
}
