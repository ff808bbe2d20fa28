// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {RewardsPayer} from "./escrow/RewardsPayer.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IDatasetSales} from "./interfaces/IDatasetSales.sol";
import {IOrderEscrow} from "./interfaces/IOrderEscrow.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {KeyDelivery} from "./types/KeyDelivery.sol";
import {Permit, Permits} from "./types/Permit.sol";
import {WHOLE_BPS} from "./types/Units.sol";

/// @notice Described in {IDatasetSales}.
contract DatasetSales is IDatasetSales, RewardsPayer, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 public constant DELIVER_SECONDS = 3 days;
    uint256 public constant ACCEPT_SECONDS = 3 days;
    /// @notice Part of the price that a seller loses when it delivers late or wrong keys.
    uint256 public constant DEPOSIT_BPS = 1_000;
    uint256 private constant _WORD = 32;
    /// @dev Where a private order's score file is sealed, among the shards.
    uint32 private constant _SCORE_SHARD = type(uint32).max;

    IDatasetRegistry public immutable datasets;

    mapping(uint256 dataset => Sale sale) private _sales;
    mapping(address account => Record record) private _records;

    constructor(IERC20 token_, IDatasetRegistry datasets_, IRewards rewards_) RewardsPayer(token_, rewards_) {
        datasets = datasets_;
    }

    /// @inheritdoc IDatasetSales
    function list(uint256 dataset, uint256 price, bytes32[] calldata commitments) external nonReentrant {
        // Also while a sale runs: then the holder is this contract.
        if (_titles().ownerOf(dataset) != msg.sender) revert DatasetSales_Unauthorized(dataset, msg.sender);
        if (price > type(uint96).max) revert DatasetSales_PriceTooHigh(price, type(uint96).max);
        uint256 keys = commitments.length;
        if (keys > type(uint16).max) revert DatasetSales_TooManyKeys(keys, type(uint16).max);
        _checkSaleable(dataset);

        Sale memory sale;
        (sale.seller, sale.price, sale.keys) = (msg.sender, uint96(price), uint16(keys));
        (sale.state, sale.promised) = (State.Listed, _digestOf(commitments));
        _sales[dataset] = sale;
        emit DatasetListed(dataset, msg.sender, price);
        if (keys != 0) emit KeysPromised(dataset, msg.sender, commitments);
    }

    /// @inheritdoc IDatasetSales
    function unlist(uint256 dataset) external nonReentrant {
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
        bytes32 promised,
        bytes32 deliveryKey,
        Permit calldata permit
    ) external nonReentrant {
        Sale storage sale = _requireState(dataset, State.Listed);
        if (price != sale.price) revert DatasetSales_WrongPrice(dataset, sale.price, price);
        if (promised != sale.promised) revert DatasetSales_WrongPromise(dataset, sale.promised, promised);
        bool isSealed = sale.keys != 0;
        if (isSealed ? !KeyDelivery.isPoint(deliveryKey) : deliveryKey != 0) {
            revert DatasetSales_UselessKey(deliveryKey);
        }
        _orderOf(dataset);

        address seller = sale.seller;
        uint256 deadline = block.timestamp + (isSealed ? DELIVER_SECONDS : 0);
        (sale.buyer, sale.deadline, sale.state) = (msg.sender, uint40(deadline), State.Sold);
        sale.deliveryKey = deliveryKey;
        emit DatasetSold(dataset, seller, msg.sender, price, deliveryKey, deadline);

        Permits.use(token, msg.sender, price, permit);
        _take(msg.sender, price);
        if (isSealed) _take(seller, depositOf(price));
        // Fails when the seller has parted with the token or with the approval.
        _titles().transferFrom(seller, address(this), dataset);
        if (!isSealed) _finish(dataset, sale, 0);
    }

    /// @inheritdoc IDatasetSales
    function deliver(uint256 dataset, bytes calldata wrappedKeys) external nonReentrant {
        Sale storage sale = _requireState(dataset, State.Sold);
        if (msg.sender != sale.seller) revert DatasetSales_Unauthorized(dataset, msg.sender);
        uint256 last = _endOf(sale);
        if (block.timestamp > last) revert DatasetSales_TooLate(dataset, last);
        uint256 length = _WORD * (sale.keys + 1);
        if (wrappedKeys.length != length) revert DatasetSales_WrongLength(wrappedKeys.length, length);
        bytes32 point = _wordAt(wrappedKeys, 0);
        if (!KeyDelivery.isPoint(point)) revert DatasetSales_UselessKey(point);

        uint256 deadline = block.timestamp + ACCEPT_SECONDS;
        (sale.deadline, sale.state) = (uint40(deadline), State.Delivered);
        sale.delivered = keccak256(wrappedKeys);
        emit KeysDelivered(dataset, msg.sender, sale.buyer, wrappedKeys, deadline);
    }

    /// @inheritdoc IDatasetSales
    function accept(uint256 dataset) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Delivered);
        uint256 last = _endOf(sale);
        if (msg.sender != sale.buyer && block.timestamp <= last) revert DatasetSales_TooEarly(dataset, last);

        _finish(dataset, sale, depositOf(sale.price));
    }

    /// @inheritdoc IDatasetSales
    function reject(uint256 dataset, KeyFault calldata fault) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Delivered);
        uint256 last = _endOf(sale);
        if (block.timestamp > last) revert DatasetSales_TooLate(dataset, last);
        _checkFault(dataset, sale, fault);

        ++_records[sale.seller].rejected;
        emit SaleRejected(dataset, sale.seller, sale.buyer);

        _undo(dataset, sale);
    }

    /// @inheritdoc IDatasetSales
    function expire(uint256 dataset) external nonReentrant {
        Sale memory sale = _requireState(dataset, State.Sold);
        uint256 last = _endOf(sale);
        if (block.timestamp <= last) revert DatasetSales_TooEarly(dataset, last);

        ++_records[sale.seller].undelivered;
        emit SaleExpired(dataset, sale.seller, sale.buyer);

        _undo(dataset, sale);
    }

    /// @inheritdoc IDatasetSales
    function saleOf(uint256 dataset) external view returns (Sale memory sale) {
        sale = _sales[dataset];
        sale.deadline = uint40(_endOf(sale));
    }

    /// @inheritdoc IDatasetSales
    function recordOf(address account) external view returns (Record memory) {
        return _records[account];
    }

    /// @inheritdoc IDatasetSales
    function depositOf(uint256 price) public pure returns (uint256) {
        return Math.mulDiv(price, DEPOSIT_BPS, WHOLE_BPS, Math.Rounding.Ceil);
    }

    /// @dev Everybody gets what is due to it; the token is the buyer's.
    function _finish(uint256 dataset, Sale memory sale, uint256 deposit) private {
        delete _sales[dataset];
        ++_records[sale.seller].sold;
        ++_records[sale.buyer].bought;
        uint256 royalty = (uint256(sale.price) * datasets.royaltyBpsOf(dataset)) / WHOLE_BPS;
        uint256 proceeds = sale.price - royalty;
        emit SaleAccepted(dataset, sale.seller, sale.buyer, royalty, proceeds);

        _pay(dataset, sale.seller, proceeds + deposit, royalty);
        // Not safeTransferFrom: a buyer without a receiver hook would keep the seller from its money.
        _titles().transferFrom(address(this), sale.buyer, dataset);
    }

    /// @dev Price and deposit to the buyer, token back to the seller.
    function _undo(uint256 dataset, Sale memory sale) private {
        delete _sales[dataset];

        _pay(dataset, sale.buyer, sale.price + depositOf(sale.price), 0);
        _titles().transferFrom(address(this), sale.seller, dataset);
    }

    /// @dev By way of the rewards contract.
    function _pay(uint256 dataset, address account, uint256 amount, uint256 royalty) private {
        _fund(amount + royalty);
        _book(datasets.datasetOf(dataset).order, account, amount);
        rewards.creditDataset(dataset, royalty);
    }

    function _take(address account, uint256 amount) private {
        if (amount == 0) return;
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(account, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert DatasetSales_WrongPayment(received, amount);
    }

    /// @dev Reverts unless the key at that place, opened with the buyer's secret, is not the one that was promised.
    function _checkFault(uint256 dataset, Sale memory sale, KeyFault calldata fault) private view {
        bytes calldata wrapped = fault.wrappedKeys;
        if (
            fault.place >= sale.keys ||
            keccak256(wrapped) != sale.delivered ||
            _digestOf(fault.commitments) != sale.promised
        ) revert DatasetSales_WrongProof(dataset);
        bytes32 point = _wordAt(wrapped, 0);
        if (
            !KeyDelivery.isSecretOf(fault.secret, sale.deliveryKey) ||
            !KeyDelivery.isSharedBy(fault.secret, point, fault.shared)
        ) revert DatasetSales_WrongProof(dataset);

        bytes32 order = datasets.datasetOf(dataset).order;
        uint32 shard = fault.place == sale.keys - 1 ? _SCORE_SHARD : uint32(fault.place);
        bytes32 key =
            _wordAt(wrapped, fault.place + 1) ^
                KeyDelivery.mask(order, shard, fault.shared, point, sale.deliveryKey);
        if (KeyDelivery.commitment(order, shard, key) == fault.commitments[fault.place]) {
            revert DatasetSales_KeyIsRight(dataset, fault.place);
        }
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

    /// @dev When the time of the sale's state is over; an outage of the chain is held against neither side.
    function _endOf(Sale memory sale) private view returns (uint256) {
        uint256 length = sale.state == State.Sold ? DELIVER_SECONDS : ACCEPT_SECONDS;
        return datasets.escrow().endOf(sale.deadline, length);
    }

    function _requireState(uint256 dataset, State needed) private view returns (Sale storage sale) {
        sale = _sales[dataset];
        if (sale.state != needed) revert DatasetSales_WrongState(dataset, sale.state);
    }

    function _digestOf(bytes32[] calldata commitments) private pure returns (bytes32) {
        return commitments.length == 0 ? bytes32(0) : keccak256(abi.encodePacked(commitments));
    }

    function _wordAt(bytes calldata data, uint256 place) private pure returns (bytes32) {
        return bytes32(data[_WORD * place:_WORD * (place + 1)]);
    }

    /// @dev The registry as what it is to a marketplace.
    function _titles() private view returns (IERC721) {
        return IERC721(address(datasets));
    }
}
