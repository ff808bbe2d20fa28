// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDisputes} from "./IDisputes.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";

/// @title Asking for what was promised
/// @notice Silence can be shown only by asking in public. A demand names what is missing and puts up a hundredth of
/// the price, and the answer stands on chain for everybody. For the data of a published order whoever answers in time
/// gets the deposit, which pays for the answer. A receipt was due without being asked for, so its demander gets the
/// deposit back, answered or not: waiting to be asked earns nothing. Without an answer the demander gets it back in any
/// case, and the contributor of the shard is punished ({IOrderEscrow.punish}).
///
/// | kind    | who                             | while                         | answer                               |
/// | ------- | ------------------------------- | ----------------------------- | ------------------------------------ |
/// | Receipt | the broker                      | matched, seed drawn, in time  | the contributor's signed receipt     |
/// | Model   | the buyer; of open data, anyone | published, in the window      | the model in clear, as calldata      |
/// | Chunk   | the buyer; of open data, anyone | published, in the window      | the chunk that holds the row, proven |
///
/// None --demand--> Open --answer, by answerBy--> None (deposit to who answers; a receipt's to the demander)
///                   \--expire, after answerBy, anyone--> None (deposit to the demander, contributor punished)
///
/// A shard has one demand at a time. An answer keeps the window open for another `challengeSeconds`, so that it can be
/// challenged. Demands about published data are taken up to two windows and one time to answer after publication; so
/// every order can be settled three windows and two times to answer after it, whatever is demanded.
/// If the order ended in the meantime, or a receipt's order was published after all, expiry punishes nobody; a demand
/// for data then takes the place of the one for a receipt, whose deposit goes back.
/// The balance equals the deposits of the open demands, and what could not be sent.
/// @dev Privileges: none beyond the table. There is no owner.
interface IDemands is IDisputes {
    enum Kind {
        None,
        Receipt,
        Model,
        Chunk
    }

    /// @notice One open demand about a shard.
    struct Demand {
        /// None when no demand is open.
        Kind kind;
        /// Who put up the deposit.
        address demander;
        /// Last chain time of an answer.
        uint64 answerBy;
        /// In token wei.
        uint128 deposit;
        /// Of the shard; zero but for chunks.
        uint64 row;
    }

    /// @notice What a receipt says beyond what the chain knows (order, shard, model digest, seed, rows).
    struct Receipt {
        bytes32 shardRoot;
        uint64 epsilonMicro;
        uint64 deltaE12;
        bytes32 contentDigest;
    }

    /// @param dataset zero for receipts.
    /// @param row of the shard; zero but for chunks.
    event DemandOpened(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed demander,
        Kind kind,
        uint256 dataset,
        uint64 row,
        uint64 answerBy,
        uint256 deposit
    );
    /// @notice Everything that the broker needs in order to publish.
    event ReceiptAnswered(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed answerer,
        Receipt receipt,
        bytes signature
    );
    /// @notice The event carries the bytes: calldata may be another contract's, and code can be gone after the
    /// transaction that made it.
    event ModelAnswered(bytes32 indexed order, uint32 indexed shard, address indexed answerer, bytes model);
    /// @notice The chunk, and the path that leads from it to the shard's root.
    event ChunkAnswered(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed answerer,
        uint32 rowWidth,
        uint64 chunkIndex,
        bytes chunk,
        bytes32[] path,
        uint256 pathBits
    );
    /// @notice Nobody answered. `punished` is false when the order had ended, or was published, by other ways, or when
    /// the buyer's own demand took the place.
    event DemandExpired(bytes32 indexed order, uint32 indexed shard, Kind kind, bool punished);
    /// @notice `amount` wei could not be sent to `account`, which can {collect} them.
    event PaymentKept(address indexed account, uint256 amount);

    error Demands_Unauthorized(bytes32 order, address caller);
    error Demands_NotMatched(bytes32 order);
    error Demands_SeedNotDrawn(bytes32 order);
    /// @notice The answer would be due after the delivery.
    error Demands_TooLateToDemand(bytes32 order, uint256 answerBy, uint256 deliverBy);
    /// @notice Demands about a published order are taken up to chain time `last`.
    error Demands_NoMoreDemands(bytes32 order, uint256 last);
    error Demands_AlreadyOpen(bytes32 order, uint32 shard);
    /// @notice This was answered before, on chain.
    error Demands_AlreadyAnswered(bytes32 order, uint32 shard, Kind kind);
    error Demands_UnknownRow(uint256 row, uint256 rows);
    /// @notice No demand of that kind is open.
    error Demands_NotOpen(bytes32 order, uint32 shard, Kind kind);
    /// @notice Answers were taken up to chain time `answerBy`.
    error Demands_TooLate(bytes32 order, uint32 shard, uint256 answerBy);
    /// @notice Answers are taken up to chain time `answerBy`.
    error Demands_TooEarly(bytes32 order, uint32 shard, uint256 answerBy);
    error Demands_InvalidReceipt(bytes32 order, uint32 shard, address contributor);
    /// @notice No data set could be published with this receipt.
    error Demands_PrivacyOutsideTerms(bytes32 order, uint32 shard, uint64 epsilonMicro, uint64 deltaE12);
    /// @notice For this row width the row lies in chunk `expected`.
    error Demands_WrongChunk(uint256 found, uint256 expected);
    /// @notice For this row width the chunk has `expected` bytes.
    error Demands_WrongLength(uint256 found, uint256 expected);
    error Demands_WrongChunkProof(bytes32 order, uint32 shard, uint64 chunkIndex);
    error Demands_NothingToCollect(address account);

    /// @notice Demands the receipt of a contributor who fell silent after the seed was drawn. Broker only; the answer
    /// must be due by `deliverBy`.
    /// @param modelDigests of all shards, as committed.
    function demandReceipt(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external;

    /// @notice Demands the model of a shard, in clear.
    function demandModel(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32[] calldata modelDigests
    ) external;

    /// @notice Demands the chunk that holds a row of a shard.
    /// @param shardProof from the shard up to the data set's root.
    function demandChunk(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset,
        uint32 shard,
        bytes32 shardRoot,
        bytes32[] calldata shardProof,
        uint64 row
    ) external;

    /// @notice Answers with a receipt that the contributor signed. Anyone.
    function answerReceipt(
        bytes32 order,
        uint32 shard,
        Receipt calldata receipt,
        bytes calldata signature
    ) external;

    /// @notice Answers with the model's bytes. Anyone. What is sent can be read by everybody, for ever.
    function answerModel(bytes32 order, uint32 shard, bytes calldata model) external;

    /// @notice Answers with a model that was stored as code, for models that no transaction can carry.
    function answerModelFromParts(bytes32 order, uint32 shard, address[] calldata parts) external;

    /// @notice Answers with the chunk that holds the row. Anyone.
    /// @param rowWidth in bytes. A wrong one can be challenged: the chunk then has a length, or a path, that a tree
    /// over the shard's rows does not know.
    /// @param path siblings from the chunk up to the shard's root, in the shape of a tree over the shard's rows.
    /// @param pathBits bit k is 1 when sibling k stands left.
    function answerChunk(
        bytes32 order,
        uint32 shard,
        uint32 rowWidth,
        uint64 chunkIndex,
        bytes calldata chunk,
        bytes32[] calldata path,
        uint256 pathBits
    ) external;

    /// @notice Ends a demand that nobody answered in time. Anyone.
    function expire(OrderTerms calldata terms, Participant[] calldata participants, uint32 shard) external;

    /// @notice Sends what could not be sent before. Anyone, for any account.
    function collect(address account) external returns (uint256 amount);

    /// @return Zeros, with kind None, when no demand is open.
    function demandOf(bytes32 order, uint32 shard) external view returns (Demand memory);
}
