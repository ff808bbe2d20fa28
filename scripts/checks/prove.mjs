// Asks the compiler's own model checker (SMTChecker) whether anything that tests/contracts/proofs says can fail:
// `node scripts/checks/prove.mjs Z3 STEPS LOOPS`, with the solver's path, its steps for one question (z3's rlimit, which
// does not depend on the machine or its load), and how often a loop may run. Prints {"proofs": [...], "ends": [...]}, what
// the compiler says of the proofs and of their ends.
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const solc = createRequire(import.meta.url)("solc");
const [solver, steps, loops] = process.argv.slice(2);
const FOLDER = "tests/contracts/proofs";
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".sol"));

function smtSolver(question) {
  const found = spawnSync(solver, ["-in", `rlimit=${steps}`], { input: question, encoding: "utf8" });
  return found.error ? { error: String(found.error) } : { contents: found.stdout };
}

function check(change, targets) {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      names.map((name) => [join(FOLDER, name), { content: change(readFileSync(join(FOLDER, name), "utf8")) }]),
    ),
    settings: {
      modelChecker: {
        contracts: Object.fromEntries(names.map((name) => [join(FOLDER, name), [name.replace(".sol", "")]])),
        engine: "bmc",
        bmcLoopIterations: Number(loops),
        solvers: ["smtlib2"],
        targets,
        showProvedSafe: true,
        showUnproved: true,
        showUnsupported: true,
      },
      outputSelection: { "*": { "*": [] } },
    },
  };
  const load = (path) => ({ contents: readFileSync(path, "utf8") });
  return JSON.parse(solc.compile(JSON.stringify(input), { import: load, smtSolver })).errors ?? [];
}

// A loop that would go on is cut off without a word, and then all that comes after it holds of nothing. So the ends of
// the proofs are asked for too: `false` has to fail there.
const toEnds = (text) => text.replaceAll("assert(", "(").replaceAll("// reached", "assert(false);");
process.stdout.write(
  JSON.stringify({
    proofs: check((text) => text, ["assert", "underflow", "overflow", "divByZero"]),
    ends: check(toEnds, ["assert"]),
  }),
);
