// Which statements of the contracts ran, from what `hardhat test solidity --coverage` left in coverage/data.
// Hardhat writes lines to lcov.info and keeps statements to itself: their tags are made again here, by the same
// instrumenter, and looked up among the tags that were hit. Prints {"contracts/X.sol": [[line, ran], ...]}.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { addStatementCoverageInstrumentation, latestSupportedSolidityVersion } from "@nomicfoundation/edr";

const hits = new Set();
for (const name of readdirSync("coverage/data/solidity")) {
  const entries = JSON.parse(readFileSync(join("coverage/data/solidity", name), "utf8"));
  for (const tag of Object.keys(entries)) hits.add(tag);
}

const statements = {};
for (const name of readdirSync("contracts", { recursive: true }).sort()) {
  if (!name.endsWith(".sol")) continue;
  const path = `contracts/${name}`;
  const content = readFileSync(path, "utf8");
  // Hardhat names a project's own files so, and the tags depend on the name.
  const { metadata } = addStatementCoverageInstrumentation(content, `project/${path}`, latestSupportedSolidityVersion());
  statements[path] = metadata
    .filter((each) => each.kind === "statement")
    .map((each) => [
      content.slice(0, each.startUtf16).split("\n").length,
      hits.has(Buffer.from(each.tag).toString("hex")),
    ]);
}
process.stdout.write(JSON.stringify(statements));
