// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Disputes} from "./Disputes.sol";
import {IDemands} from "../interfaces/IDemands.sol";
import {OrderTerms} from "../types/OrderTerms.sol";

/// @notice What is remembered of open demands, and their deposits.
abstract contract DemandBook is IDemands, Disputes {
    using SafeERC20 for IERC20;

    /// @dev The first three members share a slot, so do the next three.
    struct Demand {
        address demander;
        uint64 answerBy;
        Kind kind;
        uint128 deposit;
        uint64 rows;
        uint64 row;
        /// Model digest (Receipt, Model) or shard root (Chunk).
        bytes32 subject;
        uint256 dataset;
        address contributor;
        uint32 challengeSeconds;
        uint64 epsilonMicro;
        uint64 deltaE12;
    }

    uint256 private constant _DEPOSITS_OF_A_PRICE = 100;

    IERC20 public immutable token;
    /// @notice Chain time between a demand and the last answer.
    uint32 public immutable answerSeconds;

    mapping(bytes32 order => mapping(uint32 shard => Demand demand)) internal _demands;
    mapping(bytes32 order => mapping(uint32 shard => mapping(Kind kind => bool))) private _answered;
    mapping(address account => uint256 amount) private _kept;

    constructor(IERC20 token_, uint32 answerSeconds_) {
        token = token_;
        answerSeconds = answerSeconds_;
    }

    /// @inheritdoc IDemands
    function demandOf(
        bytes32 order,
        uint32 shard
    ) external view returns (Kind kind, address demander, uint64 answerBy, uint256 deposit, uint64 row) {
        Demand storage stored = _demands[order][shard];
        return (stored.kind, stored.demander, stored.answerBy, stored.deposit, stored.row);
    }

    /// @inheritdoc IDemands
    function collect(address account) external returns (uint256 amount) {
        amount = _kept[account];
        if (amount == 0) revert Demands_NothingToCollect(account);
        _kept[account] = 0;
        token.safeTransfer(account, amount);
    }

    /// @dev Stores a demand, counts it at the escrow and takes the deposit.
    function _open(bytes32 order, uint32 shard, OrderTerms calldata terms, Demand memory demand) internal {
        Demand storage stored = _demands[order][shard];
        Kind open = stored.kind;
        address formerDemander = stored.demander;
        uint256 formerDeposit = stored.deposit;
        // Publication has ended a demand for the receipt: it must not keep the buyer from asking for the data. Nor must
        // somebody who asks and answers itself, which costs nothing; but of silence the punishment has to come first.
        bool isOver = open == Kind.Receipt && demand.kind != Kind.Receipt;
        bool givesWay =
            msg.sender == terms.buyer && formerDemander != terms.buyer && block.timestamp <= stored.answerBy;
        if (open != Kind.None && !isOver && !givesWay) revert Demands_AlreadyOpen(order, shard);
        if (_answered[order][shard][demand.kind]) revert Demands_AlreadyAnswered(order, shard, demand.kind);
        demand.demander = msg.sender;
        demand.answerBy = uint64(block.timestamp) + answerSeconds;
        // The escrow took no price beyond 128 bits.
        demand.deposit = uint128(terms.price / _DEPOSITS_OF_A_PRICE);
        _demands[order][shard] = demand;
        if (open != Kind.None) emit DemandExpired(order, shard, open, false);
        emit DemandOpened(
            order,
            shard,
            msg.sender,
            demand.kind,
            demand.dataset,
            demand.row,
            demand.answerBy,
            demand.deposit
        );

        if (open == Kind.None) escrow.openDemand(order);
        token.safeTransferFrom(msg.sender, address(this), demand.deposit);
        if (open != Kind.None) _send(formerDemander, formerDeposit);
    }

    /// @dev Ends a demand with its answer. What was shown once is on chain; only other chunks may be asked for again.
    function _close(bytes32 order, uint32 shard, Demand memory demand) internal {
        delete _demands[order][shard];
        if (demand.kind != Kind.Chunk) _answered[order][shard][demand.kind] = true;

        // Before publication this changes nothing: the window ends later in any case.
        escrow.closeDemand(order, uint64(block.timestamp) + demand.challengeSeconds);
        _send(msg.sender, demand.deposit);
    }

    /// @dev An account that cannot receive holds nobody else up: its tokens stay here until it can.
    function _send(address account, uint256 amount) internal {
        if (amount == 0 || token.trySafeTransfer(account, amount)) return;
        _kept[account] += amount;
        emit PaymentKept(account, amount);
    }

    function _requireOpen(bytes32 order, uint32 shard, Kind kind) internal view returns (Demand memory demand) {
        demand = _demands[order][shard];
        if (demand.kind != kind) revert Demands_NotOpen(order, shard, kind);
        if (block.timestamp > demand.answerBy) revert Demands_TooLate(order, shard, demand.answerBy);
    }
}
