// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDisputes} from "./IDisputes.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";

/// @title Asking for what was promised
/// @notice Silence can be shown only by asking in public. A demand names what is missing; the answer stands on chain
/// for everybody, and anyone may send it. The first time that a demand passes without an answer, {expire} only warns
/// and the time to answer, `answerSeconds` of the terms, starts again; the second time silence has its consequence.
/// An answer is late only after the second time has passed. Where the market has an uptime feed, an outage of the chain
/// moves the end of either time, and the last time of a demand ({IOrderEscrow.endOf}).
///
/// | kind       | who           | while                    | answer                           | silence             |
/// | ---------- | ------------- | ------------------------ | -------------------------------- | ------------------- |
/// | Commitment | the broker    | matched, not committed   | signed digests of model and salt | dropped, S/4        |
/// | Salt       | the broker    | hash fixed, no seed      | the salt                         | dropped, S          |
/// | Receipt    | the broker    | matched, seed drawn      | the signed receipt               | dropped, S          |
/// | Evaluation | the broker    | matched, seed drawn      | any signed evaluation            | fined S/4, excused  |
/// | Model      | who may read  | published, in the window | the model in clear               | convicted, S        |
/// | Chunk      | who may read  | published, in the window | the chunk that holds the row     | convicted, S        |
/// | Manifest   | who may read  | published, in the window | the manifest                     | bond and fee        |
///
/// Who may read: the buyer; of open data, anyone. S is the contributor's stake for the order. A manifest is the
/// broker's: it is demanded of shard 2^32 - 1.
///
/// None --demand--> Open --answer--> None
///                   \--expire, after answerBy, anyone--> Warned --answer--> None
///                                                           \--expire, after the new answerBy--> None, consequence
///
/// What a demand costs:
/// - the broker's kinds ask for what was due without being asked for. They take no deposit: a broker that asks for
///   nothing pays about as much gas as who answers it, and who waits to be asked earns nothing by it;
/// - Model and Chunk put up a tenth of the rows' part of the price, Manifest a tenth of the price. Silence sends it
///   back to the demander, who gains nothing else; an answer burns it. So neither false alarms nor waiting pay,
///   whoever demands and whoever answers;
/// - a demand that became moot (the order ended, the step was done, the shard is out) sends it back.
///
/// A shard has one demand at a time. An answer about data keeps the window open for another `challengeSeconds`, so
/// that it can be challenged. Demands about published data are taken up to two windows and two times to answer after
/// publication; so every order can be settled three windows and four times to answer after it, whatever is demanded.
/// The end of a demand before publication leaves at least one time to answer until the deadline
/// ({IOrderEscrow.deliverByOf}); demands whose second time would end later than {IOrderEscrow.latestDeliverByOf} are
/// refused. The balance equals the deposits of the open demands, and what could not be sent.
/// @dev Privileges: none beyond the table. There is no owner.
interface IDemands is IDisputes {
    enum Kind {
        None,
        Receipt,
        Model,
        Chunk,
        Commitment,
        Salt,
        Evaluation,
        Manifest
    }

    /// @notice Why a contributor's evaluation may be left out of a record.
    enum Absence {
        None,
        /// It answered with an evaluation, for the broker to publish or to leave out.
        Answered,
        /// It did not answer.
        Silent
    }

    /// @notice One open demand about a shard.
    struct Demand {
        /// None when no demand is open.
        Kind kind;
        /// Who put up the deposit.
        address demander;
        /// Last chain time of an answer; before the warning, of an answer without one. Outages are counted in
        /// ({IOrderEscrow.endOf}), as far as they are known now; events have the time without them.
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

    /// @notice What an evaluation says beyond the order.
    struct Evaluation {
        bytes32 datasetRoot;
        uint32 scoreMicro;
        bytes32 sharesDigest;
        bytes32 scoreDigest;
    }

    /// @notice What came of the demand for an evaluation.
    struct Excuse {
        Absence absence;
        /// Of the answer.
        uint32 scoreMicro;
        /// Of the answer.
        bytes32 datasetRoot;
    }

    /// @param dataset zero before publication.
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
    /// @notice The first time passed; the second ends at chain time `answerBy`.
    event DemandWarned(bytes32 indexed order, uint32 indexed shard, Kind kind, uint64 answerBy);
    /// @notice What the broker needs in order to commit.
    event CommitmentAnswered(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed answerer,
        bytes32 modelDigest,
        bytes32 saltDigest,
        bytes signature
    );
    /// @notice What anyone needs in order to draw the seed.
    event SaltAnswered(bytes32 indexed order, uint32 indexed shard, address indexed answerer, bytes32 salt);
    /// @notice Everything that the broker needs in order to publish.
    event ReceiptAnswered(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed answerer,
        Receipt receipt,
        bytes signature
    );
    event EvaluationAnswered(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed answerer,
        Evaluation evaluation,
        bytes signature
    );
    event ManifestAnswered(bytes32 indexed order, address indexed answerer, bytes manifest);
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
    /// @notice Nobody answered, twice. `punished` is false when there was nothing left to demand (the order ended, the
    /// step was done, the shard is out), or when the buyer's own demand took the place.
    event DemandExpired(bytes32 indexed order, uint32 indexed shard, Kind kind, bool punished);
    /// @notice `amount` wei could not be sent to `account`, which can {collect} them.
    event PaymentKept(address indexed account, uint256 amount);

    error Demands_Unauthorized(bytes32 order, address caller);
    error Demands_NotMatched(bytes32 order);
    /// @notice What is demanded is not due yet, or not any more.
    error Demands_WrongStage(bytes32 order, Kind kind);
    /// @notice The shard was dropped or convicted.
    error Demands_ShardOut(bytes32 order, uint32 shard);
    /// @notice Demands of this kind are taken up to chain time `last`.
    error Demands_TooLateToDemand(bytes32 order, uint256 last);
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
    /// @notice `contributor` did not sign this commitment or evaluation.
    error Demands_InvalidSignature(bytes32 order, uint32 shard, address contributor);
    error Demands_WrongSalt(bytes32 order, uint32 shard);
    error Demands_WrongManifest(bytes32 found, bytes32 expected);
    error Demands_InvalidReceipt(bytes32 order, uint32 shard, address contributor);
    /// @notice No data set could be published with this receipt.
    error Demands_PrivacyOutsideTerms(bytes32 order, uint32 shard, uint64 epsilonMicro, uint64 deltaE12);
    /// @notice For this row width the row lies in chunk `expected`.
    error Demands_WrongChunk(uint256 found, uint256 expected);
    /// @notice For this row width the chunk has `expected` bytes.
    error Demands_WrongLength(uint256 found, uint256 expected);
    error Demands_WrongChunkProof(bytes32 order, uint32 shard, uint64 chunkIndex);
    error Demands_NothingToCollect(address account);

    /// @notice Demands the next step of a contributor: Commitment, Salt, Receipt or Evaluation. Broker only, up to
    /// {IOrderEscrow.deliverByOf}.
    /// @param digests of all shards, as committed: the salts' for Salt, the models' for Receipt; else empty.
    function demandStep(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        Kind kind,
        bytes32[] calldata digests
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

    /// @notice Demands the manifest of a data set, of its broker.
    function demandManifest(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint256 dataset
    ) external;

    /// @notice Answers with a commitment that the contributor signed. Anyone.
    function answerCommitment(
        bytes32 order,
        uint32 shard,
        bytes32 modelDigest,
        bytes32 saltDigest,
        bytes calldata signature
    ) external;

    /// @notice Answers with the salt that was committed to. Anyone.
    function answerSalt(bytes32 order, uint32 shard, bytes32 salt) external;

    /// @notice Answers with an evaluation of this order that the contributor signed, whatever it says: dissent is an
    /// answer. Anyone.
    function answerEvaluation(
        bytes32 order,
        uint32 shard,
        Evaluation calldata evaluation,
        bytes calldata signature
    ) external;

    /// @notice Answers with the bytes whose SHA-256 is the data set's manifest digest. Anyone.
    function answerManifest(bytes32 order, bytes calldata manifest) external;

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

    /// @notice Warns about a demand that nobody answered in time; ends it the second time, or when it is moot. Anyone.
    function expire(OrderTerms calldata terms, Participant[] calldata participants, uint32 shard) external;

    /// @notice Sends what could not be sent before. Anyone, for any account.
    function collect(address account) external returns (uint256 amount);

    /// @return Zeros, with kind None, when no demand is open.
    function demandOf(bytes32 order, uint32 shard) external view returns (Demand memory);

    /// @return Whether somebody warned about the open demand: its `answerBy` is then the second.
    function isWarned(bytes32 order, uint32 shard) external view returns (bool);

    /// @return Zeros when no demand for the contributor's evaluation ended.
    function excuseOf(bytes32 order, uint32 shard) external view returns (Excuse memory);
}
