// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ConditionBytes} from "../../contracts/exact/ConditionBytes.sol";
import {IContributorRegistry} from "../../contracts/interfaces/IContributorRegistry.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../../contracts/types/OrderTerms.sol";
import {Market} from "./support/Market.sol";
import {Wallet} from "./support/Wallet.sol";

contract OrderEscrowMatchTest is Market {
    bytes32 private _order;
    OrderTerms private _placed;

    function setUp() public override {
        super.setUp();
        _placed = _terms();
        _order = _place(_placed);
    }

    /// @dev Matches with valid acceptances of `participants`, expecting the given reason.
    function _expectMatchRevert(Participant[] memory participants, bytes memory reason) private {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, participants);
        vm.expectRevert(reason);
        vm.prank(broker);
        escrow.matchOrder(_placed, participants, acceptances, maxRows, "");
    }

    function test_RejectsOtherCallersThanTheBroker() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_Unauthorized.selector, _order, buyer));
        vm.prank(buyer);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
    }

    function test_RejectsOrderThatWasNeverPlaced() public {
        _placed.salt = bytes32(uint256(2));
        bytes32 unknown = escrow.hashTerms(_placed);
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        _expectMatchRevert(_participants(), abi.encodeWithSelector(cause, unknown, IOrderEscrow.State.None));
    }

    function test_RejectsMatchAfterItsDeadline() public {
        vm.warp(_placed.matchBy + 1);
        bytes4 cause = IOrderEscrow.OrderEscrow_TooLate.selector;
        _expectMatchRevert(_participants(), abi.encodeWithSelector(cause, _order, _placed.matchBy));
    }

    function test_RejectsTooFewParticipants() public {
        Participant[] memory one = new Participant[](1);
        one[0] = Participant(_node(0), 1_000);
        bytes4 cause = IOrderEscrow.OrderEscrow_ParticipantCount.selector;
        _expectMatchRevert(one, abi.encodeWithSelector(cause, 1, 2, 3));
    }

    function test_RejectsTooManyParticipants() public {
        Participant[] memory four = new Participant[](4);
        for (uint256 k = 0; k < 4; ++k) {
            four[k] = Participant(_node(k), 250);
        }
        bytes4 cause = IOrderEscrow.OrderEscrow_ParticipantCount.selector;
        _expectMatchRevert(four, abi.encodeWithSelector(cause, 4, 2, 3));
    }

    function test_RejectsMissingAcceptance() public {
        (, uint64[] memory maxRows) = _offer(_order, _participants());
        bytes[] memory none = new bytes[](2);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_LengthMismatch.selector, 3, 2, 3));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), none, maxRows, "");
    }

    function test_RejectsMissingOffer() public {
        (bytes[] memory acceptances, ) = _offer(_order, _participants());
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_LengthMismatch.selector, 3, 3, 4));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, new uint64[](4), "");
    }

    function test_RejectsSameContributorTwice() public {
        Participant[] memory participants = _participants();
        participants[2].contributor = _node(0);
        _expectMatchRevert(
            participants,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_DuplicateParticipant.selector, _node(0))
        );
    }

    function test_RejectsParticipantWithoutRows() public {
        Participant[] memory participants = _participants();
        (participants[0].rows, participants[2].rows) = (700, 0);
        participants[0].rows = 600;
        participants[1].rows = 400;
        bytes4 cause = IOrderEscrow.OrderEscrow_RowsOutsideOffer.selector;
        _expectMatchRevert(participants, abi.encodeWithSelector(cause, _node(2), 0, 600));
    }

    function test_RejectsMoreRowsThanOffered() public {
        Participant[] memory participants = _participants();
        participants[1].rows = 601;
        bytes4 cause = IOrderEscrow.OrderEscrow_RowsOutsideOffer.selector;
        _expectMatchRevert(participants, abi.encodeWithSelector(cause, _node(1), 601, 600));
    }

    function testFuzz_RejectsRowsThatDoNotSumUp(uint64 first, uint64 second) public {
        Participant[] memory participants = _participants();
        participants[0].rows = uint64(bound(first, 1, 600));
        participants[1].rows = uint64(bound(second, 1, 600));
        uint256 sum = uint256(participants[0].rows) + participants[1].rows + 200;
        vm.assume(sum != 1_000);
        _expectMatchRevert(
            participants,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_RowsMismatch.selector, sum, 1_000)
        );
    }

    function test_RejectsForgedAcceptance() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        acceptances[1] = _signAcceptance(STRANGER_KEY, _order, _node(1), 600);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, _node(1)));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
    }

    function test_RejectsAcceptanceOfAnotherOrder() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        acceptances[2] = _signAcceptance(NODE_KEY + 2, keccak256("another"), _node(2), 600);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, _node(2)));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
    }

    function test_RejectsAcceptanceOfFewerRows() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        maxRows[0] = 700;
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, _node(0)));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
    }

    function test_RejectsUnregisteredContributor() public {
        address newcomer = _node(3);
        Participant[] memory participants = _participants();
        participants[2].contributor = newcomer;
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, participants);
        acceptances[2] = _signAcceptance(NODE_KEY + 3, _order, newcomer, 600);
        vm.expectRevert(
            abi.encodeWithSelector(IContributorRegistry.ContributorRegistry_NotRegistered.selector, newcomer)
        );
        vm.prank(broker);
        escrow.matchOrder(_placed, participants, acceptances, maxRows, "");
    }

    function test_RejectsContributorWithoutFreeStake() public {
        vm.prank(_node(1));
        registry.requestWithdrawal(DEPOSIT - _stakeOf(1) + 1);
        bytes4 cause = IContributorRegistry.ContributorRegistry_InsufficientStake.selector;
        _expectMatchRevert(_participants(), abi.encodeWithSelector(cause, _node(1), _stakeOf(1) - 1, _stakeOf(1)));
    }

    function test_RejectsBrokerWithoutBond() public {
        vm.prank(broker);
        token.approve(address(escrow), BOND - 1);
        bytes4 cause = IERC20Errors.ERC20InsufficientAllowance.selector;
        _expectMatchRevert(_participants(), abi.encodeWithSelector(cause, address(escrow), BOND - 1, BOND));
    }

    function test_BindsContributorsTheirStakesAndTheBond() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        vm.expectEmit();
        emit IOrderEscrow.OrderMatched(_order, _participants());
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");

        IOrderEscrow.Order memory found = escrow.orderOf(_order);
        assertEq(uint256(found.state), uint256(IOrderEscrow.State.Matched), "state");
        assertEq(found.publishedAt, 0, "publishedAt");
        assertEq(found.participantsDigest, keccak256(abi.encode(_participants())), "participants");
        assertEq(found.sharesDigest, bytes32(0), "shares");
        assertEq(found.bondLeft, BOND, "bond");
        assertEq(found.settleNotBefore, 0, "settleNotBefore");
        assertEq(found.openDemands, 0, "open demands");
        assertBalance(address(escrow), PRICE + BOND);
        for (uint256 k = 0; k < 3; ++k) {
            assertStake(_node(k), DEPOSIT - _stakeOf(k), _stakeOf(k));
            assertEq(registry.reservedFor(_order, _node(k)), _stakeOf(k), "reserved for the order");
        }
    }

    /// @dev Before: a digest without a known preimage, or with a giant one, made every challenge impossible (B4).
    function test_B4_TheConditionsArePublicBeforeAnybodyWorks() public {
        _placed.salt = bytes32(uint256(4));
        _placed.conditions = sha256(CONDITIONS);
        _order = _place(_placed);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongConditions.selector;
        bytes32 expected = _placed.conditions;
        vm.expectRevert(abi.encodeWithSelector(cause, bytes32(0), expected));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
        vm.expectEmit();
        emit IOrderEscrow.ConditionsShown(_order, CONDITIONS);
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, CONDITIONS);
    }

    /// @dev Before: bytes that are no conditions were found out when the first row was challenged.
    function test_B4_ConditionsThatNobodyCanReadAreRefused() public {
        _refuseConditions(new bytes(8_193), ConditionBytes.ConditionBytes_TooLong.selector, 8_193, 8_192);
        // Its one segment holds 999 rows, of 1,000 that are ordered.
        _refuseConditions(hex"0001000003e70000", ConditionBytes.ConditionBytes_OtherRows.selector, 999, 1_000);
        // A column that is named, and not there.
        bytes memory cut = hex"0001000003e80001";
        _placed.conditions = sha256(cut);
        _refuse(cut, abi.encodeWithSelector(ConditionBytes.ConditionBytes_Malformed.selector, 8));
    }

    function _refuseConditions(bytes memory conditions, bytes4 cause, uint256 found, uint256 expected) private {
        _placed.conditions = sha256(conditions);
        _refuse(conditions, abi.encodeWithSelector(cause, found, expected));
    }

    function _refuse(bytes memory conditions, bytes memory reason) private {
        _order = _place(_placed);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        vm.expectRevert(reason);
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, conditions);
    }

    function test_RejectsConditionsThatTheTermsDoNotName() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        bytes32 found = sha256("any");
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongConditions.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, found, bytes32(0)));
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "any");
    }

    function test_AcceptsTheLastSecond() public {
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, _participants());
        vm.warp(_placed.matchBy);
        vm.prank(broker);
        escrow.matchOrder(_placed, _participants(), acceptances, maxRows, "");
        assertState(_order, IOrderEscrow.State.Matched);
    }

    function test_AcceptsContractContributor() public {
        Wallet wallet = new Wallet(_node(2));
        _enrol(address(wallet), _stakeOf(2));
        Participant[] memory participants = _participants();
        participants[2].contributor = address(wallet);
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_order, participants);
        vm.prank(broker);
        escrow.matchOrder(_placed, participants, acceptances, maxRows, "");
        assertStake(address(wallet), 0, _stakeOf(2));
    }
}
