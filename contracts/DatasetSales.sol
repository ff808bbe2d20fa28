// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {RewardsPayer} from "./escrow/RewardsPayer.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDatasetSales} from "./interfaces/IDatasetSales.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {Permit, Permits} from "./types/Permit.sol";
import {WHOLE_BPS} from "./types/Units.sol";

/// @notice Described in {IDatasetSales}.
contract DatasetSales is IDatasetSales, RewardsPayer, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 public constant DELIVER_SECONDS = 3 days;
    uint256 public constant ACCEPT_SECONDS = 3 days;

    IDatasetRegistry public immutable datasets;

    mapping(uint256 dataset => Sale sale) private _sales;
    mapping(address account => Record record) private _records;

    constructor(IERC20 token_, IDatasetRegistry datasets_, IRewards rewards_) RewardsPayer(token_, rewards_) {
        datasets = datasets_;
    }

    /// @inheritdoc IDatasetSales
    function list(uint256 dataset, uint256 price) external {
        // Also while a sale runs: then the holder is this contract.
        if (_titles().ownerOf(dataset) != msg.sender) revert DatasetSales_Unauthorized(dataset, msg.sender);
        if (price > type(uint96).max) revert DatasetSales_PriceTooHigh(price, type(uint96).max);
        _checkSaleable(dataset);

        _sales[dataset] = Sale(msg.sender, uint96(price), address(0), 0, State.Listed);
        emit DatasetListed(dataset, msg.sender, price);
    }

    /// @inheritdoc IDatasetSales
    function unlist(uint256 dataset) external {
        address seller = _requireState(dataset, State.Listed).seller;
        if (msg.sender != seller && msg.sender != _titles().ownerOf(dataset)) {
            revert DatasetSales_Unauthorized(dataset, msg.sender);
        }

        delete _sales[dataset];
        emit DatasetUnlisted(dataset, seller);
    }

    /// @inheritdoc IDatasetSales
    function buy(
        uint256 dataset,
        uint256 price,
        bytes32 deliveryKey,
        Permit calldata permit
    ) external nonReentrant {
        Sale storage sale = _requireState(dataset, State.Listed);
        if (price != sale.price) revert DatasetSales_WrongPrice(dataset, sale.price, price);
        _orderOf(dataset);

        address seller = sale.seller;
        uint256 deadline = block.timestamp + DELIVER_SECONDS;
        (sale.buyer, sale.deadline, sale.state) = (msg.sender, uint40(deadline), State.Sold);
        emit DatasetSold(dataset, seller, msg.sender, price, deliveryKey, deadline);

        _take(price, permit);
        // Fails when the seller has parted with the token or with the approval.
        _titles().transferFrom(seller, address(this), dataset);
    }

    /// @inheritdoc IDatasetSales
    function deliver(uint256 dataset, bytes calldata wrappedKeys) external {
        Sale storage sale = _requireState(dataset, State.Sold);
        if (msg.sender != sale.seller) revert DatasetSales_Unauthorized(dataset, msg.sender);
        if (block.timestamp > sale.deadline) revert DatasetSales_TooLate(dataset, sale.deadline);

        uint256 deadline = block.timestamp + ACCEPT_SECONDS;
        (sale.deadline, sale.state) = (uint40(deadline), State.Delivered);
        emit KeysDelivered(dataset, msg.sender, sale.buyer, wrappedKeys, deadline);
    }

    /// @inheritdoc IDatasetSales
    function accept(uint256 dataset) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Delivered);
        if (msg.sender != sale.buyer && block.timestamp <= sale.deadline) {
            revert DatasetSales_TooEarly(dataset, sale.deadline);
        }

        delete _sales[dataset];
        ++_records[sale.seller].sold;
        ++_records[sale.buyer].bought;
        uint256 royalty = (uint256(sale.price) * datasets.royaltyBpsOf(dataset)) / WHOLE_BPS;
        uint256 proceeds = sale.price - royalty;
        emit SaleAccepted(dataset, sale.seller, sale.buyer, royalty, proceeds);

        _pay(dataset, sale.seller, proceeds, royalty);
        // Not safeTransferFrom: a buyer without a receiver hook would keep the seller from its money.
        _titles().transferFrom(address(this), sale.buyer, dataset);
    }

    /// @inheritdoc IDatasetSales
    function reject(uint256 dataset) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Delivered);
        if (msg.sender != sale.buyer) revert DatasetSales_Unauthorized(dataset, msg.sender);
        if (block.timestamp > sale.deadline) revert DatasetSales_TooLate(dataset, sale.deadline);

        ++_records[sale.seller].rejected;
        ++_records[sale.buyer].returned;
        emit SaleRejected(dataset, sale.seller, sale.buyer);

        _undo(dataset, sale);
    }

    /// @inheritdoc IDatasetSales
    function expire(uint256 dataset) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Sold);
        if (block.timestamp <= sale.deadline) revert DatasetSales_TooEarly(dataset, sale.deadline);

        ++_records[sale.seller].undelivered;
        emit SaleExpired(dataset, sale.seller, sale.buyer);

        _undo(dataset, sale);
    }

    /// @inheritdoc IDatasetSales
    function saleOf(uint256 dataset) external view returns (Sale memory) {
        return _sales[dataset];
    }

    /// @inheritdoc IDatasetSales
    function recordOf(address account) external view returns (Record memory) {
        return _records[account];
    }

    /// @dev Price back to the buyer, token back to the seller.
    function _undo(uint256 dataset, Sale memory sale) private {
        delete _sales[dataset];

        _pay(dataset, sale.buyer, sale.price, 0);
        _titles().transferFrom(address(this), sale.seller, dataset);
    }

    /// @dev By way of the rewards contract.
    function _pay(uint256 dataset, address account, uint256 amount, uint256 royalty) private {
        _fund(amount + royalty);
        _book(datasets.datasetOf(dataset).order, account, amount);
        rewards.creditDataset(dataset, royalty);
    }

    function _take(uint256 price, Permit calldata permit) private {
        if (price == 0) return;
        Permits.use(token, msg.sender, price, permit);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), price);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != price) revert DatasetSales_WrongPayment(received, price);
    }

    function _checkSaleable(uint256 dataset) private view {
        IOrderEscrow.State state = datasets.escrow().orderOf(_orderOf(dataset)).state;
        if (state != IOrderEscrow.State.Settled) revert DatasetSales_NotSettled(dataset, state);
        IERC721 titles = _titles();
        if (titles.getApproved(dataset) != address(this) && !titles.isApprovedForAll(msg.sender, address(this))) {
            revert DatasetSales_NotApproved(dataset);
        }
    }

    /// @dev The order behind a data set that is not revoked.
    function _orderOf(uint256 dataset) private view returns (bytes32) {
        IDatasetRegistry.Dataset memory found = datasets.datasetOf(dataset);
        if (found.status == IDatasetRegistry.Status.Revoked) revert DatasetSales_Revoked(dataset);
        return found.order;
    }

    function _requireState(uint256 dataset, State needed) private view returns (Sale storage sale) {
        sale = _sales[dataset];
        if (sale.state != needed) revert DatasetSales_WrongState(dataset, sale.state);
    }

    /// @dev The registry as what it is to a marketplace.
    function _titles() private view returns (IERC721) {
        return IERC721(address(datasets));
    }
}
