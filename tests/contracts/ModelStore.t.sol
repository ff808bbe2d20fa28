// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelStore} from "../../contracts/interfaces/IModelStore.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice Plan.
/// store
///   given no bytes, or more than code can hold: reverts with both numbers
///   given a part: its address is known before; the code is one zero byte and the part; the event names it
///   given a stored part: answers the same address, creates nothing, emits nothing
contract ModelStoreTest is TestBase {
    IModelStore private store;

    function setUp() public {
        store = IModelStore(_create("ModelStore", ""));
    }

    function test_RevertWhen_ThePartIsEmptyOrTooLong() public {
        vm.expectRevert(abi.encodeWithSelector(IModelStore.ModelStore_LengthOutOfRange.selector, 0, 24_575));
        store.store("");
        bytes memory part = new bytes(24_576);
        vm.expectRevert(abi.encodeWithSelector(IModelStore.ModelStore_LengthOutOfRange.selector, 24_576, 24_575));
        store.store(part);
    }

    function test_TheLongestPartIsStored() public {
        bytes memory part = new bytes(24_575);
        part[24_574] = 0x7f;
        assertEq(store.store(part).code.length, 24_576, "code");
    }

    function testFuzz_CodeIsAZeroByteAndThePart(bytes calldata part) public {
        vm.assume(part.length != 0);
        address expected = store.addressOf(part);
        vm.expectEmit();
        emit IModelStore.PartStored(expected, part.length);
        assertEq(store.store(part), expected, "address");
        assertEq(keccak256(expected.code), keccak256(bytes.concat(hex"00", part)), "code");
    }

    function test_StoringTwiceChangesNothing() public {
        address first = store.store(hex"010203");
        vm.recordLogs();
        assertEq(store.store(hex"010203"), first, "address");
        assertEq(vm.getRecordedLogs().length, 0, "events");
    }
}
