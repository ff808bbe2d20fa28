// What `make audit` compiles: every contract in one compilation, so that Slither sees who uses what. The settings of
// the code generator do not matter, Slither reads the syntax trees.
import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);

export default defineConfig({
  solidity: {
    version: "0.8.37",
    path: require.resolve("solc/soljson.js"),
    settings: { viaIR: true, optimizer: { enabled: true, runs: 1 }, evmVersion: "cancun" },
  },
});
