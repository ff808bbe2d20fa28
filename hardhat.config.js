// Builds and tests run without a network: the compiler is the npm package `solc`, not a download.
import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);

const compiler = {
  version: "0.8.37",
  path: require.resolve("solc/soljson.js"),
  settings: {
    // Without the IR pipeline the publication of a data set does not fit the stack.
    viaIR: true,
    optimizer: { enabled: true, runs: 10_000 },
    evmVersion: "cancun",
  },
};

export default defineConfig({
  solidity: {
    profiles: { default: compiler, production: compiler },
    splitTestsCompilation: true,
  },
  paths: {
    sources: "./contracts",
    tests: { solidity: "./tests/contracts" },
  },
  test: {
    solidity: {
      fsPermissions: { readDirectory: ["./tests/vectors"] },
      fuzz: { runs: 64, seed: "0x7465737365726131" },
      // Hardhat's defaults take minutes here; this walk still visits every transition.
      invariant: { runs: 8, depth: 40, failOnRevert: true },
    },
  },
});
