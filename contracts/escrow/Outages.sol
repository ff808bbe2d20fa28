// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice What a chain with a sequencer tells of it: Chainlink's L2 sequencer uptime feed.
interface IUptimeFeed {
    /// @return roundId not used.
    /// @return answer 0 while the sequencer is up, 1 while it is down.
    /// @return startedAt chain time at which that began; zero for a feed that has heard of nothing yet.
    /// @return updatedAt not used: a feed may be silent for as long as nothing changes.
    /// @return answeredInRound not used.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}

/// @notice Time in which nobody could act is held against nobody, where the market has an uptime feed.
/// @dev The feed can only make a time end later, by at most {MAX_OUTAGE_SECONDS}. It gets a fixed amount of gas, its
/// answer is read as words that cannot fail to decode, and whatever it does but to say in this format that the chain is
/// down or came back counts as no outage. So the worst of feeds delays each end by that much.
abstract contract Outages {
    /// @notice An outage moves the end of a time by at most this, and a feed that says "down" for longer is not
    /// believed. A day is what Arbitrum lets pass before anybody can have a transaction included from the chain below
    /// (OP stack: half a day), and another to notice.
    uint256 public constant MAX_OUTAGE_SECONDS = 2 days;
    /// @dev Several times what Chainlink's contracts take.
    uint256 private constant _FEED_GAS = 100_000;
    /// @dev All but a 64th of what is left goes to a call (EIP-150); the call itself costs up to 2,600.
    uint256 private constant _NEEDED_GAS = _FEED_GAS + _FEED_GAS / 32 + 5_000;
    uint256 private constant _WORDS_BYTES = 160;
    uint256 private constant _TIMES_BEFORE_PUBLICATION = 8;
    int256 private constant _UP = 0;
    int256 private constant _DOWN = 1;

    /// @notice The feed; zero for none.
    address public immutable uptimeFeed;

    /// @notice With less gas the feed could be made to fail by whoever calls.
    error Outages_TooLittleGas(uint256 left, uint256 needed);

    constructor(address uptimeFeed_) {
        uptimeFeed = uptimeFeed_;
    }

    /// @dev When a time ends that ran to `deadline`: not before it could run whole, `length` seconds, after the chain
    /// came back. Zero, a time that was never set, stays.
    function _endOf(uint256 deadline, uint256 length) internal view returns (uint256) {
        if (deadline == 0) return 0;
        return Math.max(deadline, Math.min(_upSince() + length, deadline + MAX_OUTAGE_SECONDS));
    }

    /// @dev What outages can delay before a publication: four steps that are demanded have two times to answer each.
    function _mostDelay() internal view returns (uint256) {
        return uptimeFeed == address(0) ? 0 : _TIMES_BEFORE_PUBLICATION * MAX_OUTAGE_SECONDS;
    }

    /// @dev Chain time at which the chain came back: now while it is down, zero if nothing is known of an outage.
    function _upSince() internal view returns (uint256) {
        if (uptimeFeed == address(0)) return 0;
        if (gasleft() < _NEEDED_GAS) revert Outages_TooLittleGas(gasleft(), _NEEDED_GAS);
        bytes memory call = abi.encodeCall(IUptimeFeed.latestRoundData, ());
        (bool success, bytes memory answer) = uptimeFeed.staticcall{gas: _FEED_GAS}(call);
        if (!success || answer.length < _WORDS_BYTES) return 0;
        // Whole words: narrower types would refuse what does not fit.
        (, int256 status, uint256 startedAt) = abi.decode(answer, (uint256, int256, uint256));
        // Clocks of two chains differ by seconds: what seems to begin later begins now.
        uint256 since = Math.min(startedAt, block.timestamp);
        if (status == _UP) return since;
        bool isBelieved = status == _DOWN && block.timestamp - since <= MAX_OUTAGE_SECONDS;
        return isBelieved ? block.timestamp : 0;
    }
}
