// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetSales} from "../../../contracts/interfaces/IDatasetSales.sol";
import {Curve} from "./Curve.sol";
import {GoodsMarket} from "./GoodsMarket.sol";

/// @notice Trades three data sets among three people at random, pays royalties, divides pots, rotates payout addresses
/// and claims, and keeps its own books of where the money should be.
contract GoodsWalk is GoodsMarket {
    uint256 private constant _DATASETS = 3;
    uint256 private constant _PEOPLE = 3;
    uint256 private constant _PERSON_KEY = 0x9E50;

    uint256 private constant _SECRET = 0x5EC;

    /// @dev Price and deposit held for each data set; zero without a running sale, and for a gift.
    mapping(uint256 id => uint256 price) private _held;
    mapping(uint256 id => bool running) private _running;

    /// @notice Token wei that ever went into the rewards contract, and that ever were claimed.
    uint256 public paidIn;
    uint256 public paidOut;
    /// @notice How often the walk got to each end.
    uint256 public accepted;
    uint256 public rejected;
    uint256 public expired;
    uint256 public distributed;
    uint256 public rotated;
    /// @dev Of every buyer and every seller alike, and what the two make together.
    bytes32 private _point;
    bytes32 private _shared;

    function setUp() public override {
        super.setUp();
        uint16[3] memory royaltyBps = [uint16(1_000), 333, 0];
        for (uint256 i = 0; i < _DATASETS; ++i) {
            uint256 id = _dataset(i + 1, royaltyBps[i]);
            vm.prank(buyer);
            datasets.transferFrom(buyer, _person(i), id);
        }
        for (uint256 k = 0; k < _PEOPLE; ++k) {
            token.mint(_person(k), 1_000_000 ether);
            vm.prank(_person(k));
            token.approve(address(sales), type(uint256).max);
            vm.prank(_person(k));
            datasets.setApprovalForAll(address(sales), true);
        }
        paidIn = token.balanceOf(address(rewards));
        _point = Curve.point(_SECRET);
        _shared = Curve.point(_SECRET * _SECRET);
    }

    /// @dev Of a key that is never delivered, so that every delivery can be rejected, and accepted too.
    function _promised() private pure returns (bytes32[] memory commitments) {
        commitments = new bytes32[](1);
        commitments[0] = keccak256("promised");
    }

    function _delivery() private view returns (bytes memory) {
        return abi.encodePacked(_point, bytes32(0));
    }

    function _person(uint256 choice) private pure returns (address) {
        return vm.addr(_PERSON_KEY + (choice % _PEOPLE));
    }

    function _pick(uint256 choice) private pure returns (uint256 id) {
        return 1 + (choice % _DATASETS);
    }

    // -- what the books say -------------------------------------------------------------------------------------

    function expectedSales() external view returns (uint256 sum) {
        for (uint256 id = 1; id <= _DATASETS; ++id) {
            sum += _held[id];
        }
    }

    function salesBalance() external view returns (uint256) {
        return token.balanceOf(address(sales));
    }

    function rewardsBalance() external view returns (uint256) {
        return token.balanceOf(address(rewards));
    }

    function owed() external view returns (uint256 sum) {
        sum = rewards.claimable(broker);
        for (uint256 k = 0; k < 3; ++k) {
            sum += rewards.claimable(_node(k)) + rewards.claimable(_person(k));
        }
        for (uint256 id = 1; id <= _DATASETS; ++id) {
            sum += rewards.datasetBalance(id);
        }
    }

    /// @notice Whether the sales contract holds exactly the tokens of the sales that run.
    function titlesAreInPlace() external view returns (bool) {
        for (uint256 id = 1; id <= _DATASETS; ++id) {
            if ((datasets.ownerOf(id) == address(sales)) != _running[id]) return false;
        }
        return true;
    }

    // -- steps --------------------------------------------------------------------------------------------------

    function list(uint256 choice, uint96 price) external {
        uint256 id = _pick(choice);
        if (_running[id]) return;
        address holder = datasets.ownerOf(id);
        vm.prank(holder);
        sales.list(id, bound(price, 0, 1_000 ether), _promised());
    }

    function buy(uint256 choice, uint256 who) external {
        uint256 id = _pick(choice);
        IDatasetSales.Sale memory sale = sales.saleOf(id);
        if (sale.state != IDatasetSales.State.Listed || token.balanceOf(_person(who)) < sale.price) return;
        uint256 deposit = sales.depositOf(sale.price);
        vm.prank(_person(who));
        sales.buy(id, sale.price, sale.promised, _point, _noPermit());
        (_held[id], _running[id]) = (sale.price + deposit, true);
    }

    /// @notice The next step of a sale that runs: delivery, then acceptance by whoever may.
    function advance(uint256 choice) external {
        uint256 id = _pick(choice);
        IDatasetSales.Sale memory sale = sales.saleOf(id);
        bool late = vm.getBlockTimestamp() > sale.deadline;
        if (sale.state == IDatasetSales.State.Sold && !late) {
            vm.prank(sale.seller);
            sales.deliver(id, _delivery());
        } else if (sale.state == IDatasetSales.State.Delivered) {
            vm.prank(late ? stranger : sale.buyer);
            sales.accept(id);
            _close(id);
            ++accepted;
        }
    }

    /// @notice The way out of a sale that fits its state and the time.
    function quit(uint256 choice) external {
        uint256 id = _pick(choice);
        IDatasetSales.Sale memory sale = sales.saleOf(id);
        bool late = vm.getBlockTimestamp() > sale.deadline;
        if (sale.state == IDatasetSales.State.Listed && datasets.ownerOf(id) == sale.seller) {
            vm.prank(sale.seller);
            sales.unlist(id);
        } else if (sale.state == IDatasetSales.State.Sold && late) {
            sales.expire(id);
            _close(id);
            ++expired;
        } else if (sale.state == IDatasetSales.State.Delivered && !late) {
            vm.prank(sale.buyer);
            sales.reject(id, IDatasetSales.KeyFault(0, _SECRET, _shared, _delivery(), _promised()));
            _close(id);
            ++rejected;
        }
    }

    function _close(uint256 id) private {
        paidIn += _held[id];
        (_held[id], _running[id]) = (0, false);
    }

    /// @notice A sale on another marketplace pays the receiver.
    function payRoyalty(uint256 choice, uint256 amount) external {
        uint256 id = _pick(choice);
        amount = bound(amount, 1, 1_000 ether);
        token.mint(royalties.receiverOf(id), amount);
        paidIn += royalties.collect(id);
    }

    function distribute(uint256 choice) external {
        uint256 id = _pick(choice);
        // Below three wei the shares may round to nothing.
        if (rewards.datasetBalance(id) < 3) return;
        rewards.distribute(id, _participants(), _shares());
        ++distributed;
    }

    function claim(uint256 choice) external {
        address account =
            choice % 7 < 3
                ? _node(choice % 7)
                : choice % 7 == 3
                    ? broker
                    : _person(choice);
        if (rewards.claimable(account) != 0) paidOut += rewards.claimFor(account);
    }

    /// @notice A contributor's claims go to a person from now on; nobody rotates twice.
    function rotate(uint256 choice) external {
        uint256 k = choice % 3;
        address account = _node(k);
        if (rewards.payoutOf(account) != account) return;
        uint256 deadline = vm.getBlockTimestamp();
        bytes32 typehash = keccak256("Payout(address account,address payout,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typehash, account, _person(k), 0, deadline));
        rewards.setPayout(account, _person(k), deadline, _signStruct(NODE_KEY + k, structHash));
        ++rotated;
    }

    function wait(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 2 days));
    }
}
