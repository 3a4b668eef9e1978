import assert from "node:assert/strict";
import { test } from "node:test";
import { networkRows } from "../../static/js/lib/network.js";

const layer = (name, reads, more = {}) => ({ name, reads, text: "conv 3x3", shape: [8, 4, 4], params: 10, macs: 100, ms: 2, ...more });
const ALL = [layer("conv1", ["x"]), layer("relu", ["conv1"]), layer("conv2", ["relu"]), layer("add", ["conv2", "relu"])];
const SHOWN = ALL.filter(({ name }) => name !== "relu");

test("what reads a layer without a row reads what that one reads", () => {
  const rows = networkRows(ALL, SHOWN, []);
  assert.deepEqual(rows.map(({ layer, reads }) => [layer, reads]), [["conv1", []], ["conv2", ["conv1"]], ["add", ["conv2", "conv1"]]]);
});

test("an untouched layer is told as it is, a treated one by what the recipe says", () => {
  const made = { layer: "conv2", technique: "svd", level: "1/4", ms_before: 2, ms_after: 0.5 };
  const [first, second] = networkRows(ALL, SHOWN, [made]);
  assert.deepEqual([first.technique, first.ms_before, first.ms_after], ["keep", 2, 2]);
  assert.deepEqual([second.technique, second.ms_after, second.params_before, second.params_after], ["svd", 0.5, 10, undefined]);
});
