// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IOrderEscrow} from "../../contracts/interfaces/IOrderEscrow.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {Permit} from "../../contracts/types/Permit.sol";
import {Market} from "./support/Market.sol";
import {Wallet} from "./support/Wallet.sol";

contract OrderEscrowPlaceTest is Market {
    function _expectPlaceRevert(OrderTerms memory terms, bytes memory reason) private {
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        Permit memory permit = _permit(terms.price);
        vm.expectRevert(reason);
        escrow.place(terms, signature, permit);
    }

    function test_RejectsOrderWithoutRows() public {
        OrderTerms memory terms = _terms();
        terms.rows = 0;
        _expectPlaceRevert(terms, abi.encodeWithSelector(IOrderEscrow.OrderEscrow_NoRows.selector));
    }

    function test_RejectsPriceBeyond128Bits() public {
        OrderTerms memory terms = _terms();
        terms.price = uint256(type(uint128).max) + 1;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(
                IOrderEscrow.OrderEscrow_AmountTooLarge.selector,
                terms.price,
                type(uint128).max
            )
        );
    }

    function test_RejectsBondBeyond96Bits() public {
        OrderTerms memory terms = _terms();
        terms.bond = uint256(type(uint96).max) + 1;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_AmountTooLarge.selector, terms.bond, type(uint96).max)
        );
    }

    function test_RejectsFeeAboveCap() public {
        OrderTerms memory terms = _terms();
        terms.brokerFeeBps = 2_001;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_FeeTooHigh.selector, 2_001, 2_000)
        );
    }

    function test_RejectsRoyaltyAboveCap() public {
        OrderTerms memory terms = _terms();
        terms.royaltyBps = 1_001;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_RoyaltyTooHigh.selector, 1_001, 1_000)
        );
    }

    function test_RejectsScoreNoDataSetCanReach() public {
        OrderTerms memory terms = _terms();
        terms.minScoreMicro = 1_000_001;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ScoreOutOfRange.selector, 1_000_001, 1_000_000)
        );
    }

    function test_RejectsZeroMinimumOfContributors() public {
        OrderTerms memory terms = _terms();
        terms.minContributors = 0;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ContributorBounds.selector, 0, 3)
        );
    }

    /// @dev Before: 255, whose match took 18.6 M gas, which no transaction may have.
    function test_RejectsMoreContributorsThanATransactionCanMatch() public {
        OrderTerms memory terms = _terms();
        terms.maxContributors = 129;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ContributorBounds.selector, 2, 129)
        );
        terms.maxContributors = 128;
        assertState(_place(terms), IOrderEscrow.State.Open);
    }

    function test_RejectsMaximumBelowMinimumOfContributors() public {
        OrderTerms memory terms = _terms();
        terms.maxContributors = 1;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ContributorBounds.selector, 2, 1)
        );
    }

    function _expectDeadlinesRevert(uint256 matchBy, uint256 deliverBy) private {
        OrderTerms memory terms = _terms();
        terms.matchBy = uint64(matchBy);
        terms.deliverBy = uint64(deliverBy);
        bytes4 cause = IOrderEscrow.OrderEscrow_Deadlines.selector;
        _expectPlaceRevert(terms, abi.encodeWithSelector(cause, matchBy, deliverBy, START + 365 days));
    }

    function test_RejectsMatchDeadlineInThePast() public {
        _expectDeadlinesRevert(START - 1, START + 1 days);
    }

    function test_RejectsDeliveryNotAfterMatch() public {
        _expectDeadlinesRevert(START + 1 hours, START + 1 hours);
    }

    function test_RejectsDeliveryBeyondAYear() public {
        _expectDeadlinesRevert(START + 1 hours, START + 365 days + 1);
    }

    function test_RejectsChallengeWindowBeyondNinetyDays() public {
        OrderTerms memory terms = _terms();
        terms.challengeSeconds = 90 days + 1;
        _expectPlaceRevert(
            terms,
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_ChallengeTooLong.selector, 90 days + 1, 90 days)
        );
    }

    function test_RejectsForeignSignature() public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(STRANGER_KEY, terms);
        Permit memory permit = _permit(terms.price);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, buyer));
        escrow.place(terms, signature, permit);
    }

    function test_RejectsZeroBuyer() public {
        OrderTerms memory terms = _terms();
        terms.buyer = address(0);
        bytes memory signature = new bytes(65);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, address(0)));
        escrow.place(terms, signature, _noPermit());
    }

    function testFuzz_RejectsTermsOtherThanSigned(uint256 price, uint16 feeBps, bytes32 deliveryKey) public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        terms.price = bound(price, 0, PRICE - 1);
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        terms.deliveryKey = deliveryKey;
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, buyer));
        escrow.place(terms, signature, _noPermit());
    }

    function test_RejectsSignatureOfAnotherChain() public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, buyer));
        escrow.place(terms, signature, _noPermit());
    }

    function test_RejectsSecondPlacing() public {
        bytes32 order = _place(_terms());
        _expectPlaceRevert(
            _terms(),
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_WrongState.selector, order, IOrderEscrow.State.Open)
        );
    }

    function test_RejectsPlacingAfterCancel() public {
        bytes32 order = _place(_terms());
        vm.prank(buyer);
        escrow.cancel(_terms());
        bytes4 cause = IOrderEscrow.OrderEscrow_WrongState.selector;
        _expectPlaceRevert(_terms(), abi.encodeWithSelector(cause, order, IOrderEscrow.State.Cancelled));
    }

    function test_RejectsExpiredPermit() public {
        OrderTerms memory terms = _terms();
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, 0));
        escrow.place(terms, signature, _noPermit());
    }

    function test_RejectsBuyerWithoutTheMoney() public {
        OrderTerms memory terms = _terms();
        terms.price = 1_000_001 ether;
        bytes memory reason = abi.encodeWithSelector(
            IERC20Errors.ERC20InsufficientBalance.selector,
            buyer,
            1_000_000 ether,
            1_000_001 ether
        );
        _expectPlaceRevert(terms, reason);
    }

    function test_TakesThePriceByPermitWhoeverRelays() public {
        OrderTerms memory terms = _terms();
        bytes32 expected = escrow.hashTerms(terms);
        bytes memory signature = _signTerms(BUYER_KEY, terms);
        Permit memory permit = _permit(terms.price);
        vm.expectEmit();
        emit IOrderEscrow.OrderPlaced(expected, buyer, broker, PRICE);
        vm.prank(stranger);
        bytes32 order = escrow.place(terms, signature, permit);

        assertEq(order, expected, "order id");
        assertState(order, IOrderEscrow.State.Open);
        assertBalance(address(escrow), PRICE);
        assertBalance(buyer, 1_000_000 ether - PRICE);
    }

    function test_TakesThePriceByApproval() public {
        OrderTerms memory terms = _terms();
        vm.prank(buyer);
        token.approve(address(escrow), PRICE);
        escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit());
        assertBalance(address(escrow), PRICE);
    }

    function test_AcceptsPermitThatSomebodyUsedFirst() public {
        OrderTerms memory terms = _terms();
        Permit memory permit = _permit(PRICE);
        vm.prank(stranger);
        token.permit(buyer, address(escrow), PRICE, permit.deadline, permit.v, permit.r, permit.s);
        escrow.place(terms, _signTerms(BUYER_KEY, terms), permit);
        assertBalance(address(escrow), PRICE);
    }

    function test_AcceptsContractBuyer() public {
        Wallet wallet = new Wallet(buyer);
        token.mint(address(wallet), PRICE);
        wallet.approve(token, address(escrow), PRICE);
        OrderTerms memory terms = _terms();
        terms.buyer = address(wallet);
        bytes32 order = escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit());
        assertState(order, IOrderEscrow.State.Open);
    }

    function test_RejectsContractBuyerThatDidNotSign() public {
        Wallet wallet = new Wallet(buyer);
        OrderTerms memory terms = _terms();
        terms.buyer = address(wallet);
        bytes memory signature = _signTerms(STRANGER_KEY, terms);
        vm.expectRevert(
            abi.encodeWithSelector(IOrderEscrow.OrderEscrow_InvalidSignature.selector, address(wallet))
        );
        escrow.place(terms, signature, _noPermit());
    }

    function test_HashesTermsAsTheStandardSays() public view {
        OrderTerms memory terms = _terms();
        bytes32 typehash = keccak256(
            "OrderTerms(address buyer,address broker,bytes32 collection,bytes32 request,bytes32 deliveryKey,uint64 rows,uint64 epsilonMicro,uint64 deltaE12,uint32 minScoreMicro,uint8 minContributors,uint8 maxContributors,uint16 brokerFeeBps,uint64 matchBy,uint64 deliverBy,uint32 challengeSeconds,uint32 answerSeconds,uint256 price,uint256 stake,uint256 bond,uint16 royaltyBps,bytes32 conditions,bytes32 parents,bytes32 schemaDigest,uint8 sizeClass,uint16 specVersion,uint32 ownRealMicro,bool indivisible,bytes32 salt)"
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tessera"),
                keccak256("1"),
                block.chainid,
                address(escrow)
            )
        );
        bytes32 structHash = keccak256(abi.encode(typehash, terms));
        assertEq(escrow.DOMAIN_SEPARATOR(), domain, "domain");
        assertEq(escrow.hashTerms(terms), keccak256(abi.encodePacked(hex"1901", domain, structHash)), "order id");
    }
}
