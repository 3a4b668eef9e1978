import assert from "node:assert/strict";
import test from "node:test";
import { fitText, hasOwnRow, leftOutText, sorted, totalMs } from "../../static/js/lib/model-layers.js";

const conv = { name: "conv1", kind: "conv", text: "conv 3x3 · 1 → 6", is_priced: true, ms: 2, order: 0, applicable: { svd: true, fire: "it is too small." } };
const relu = { name: "relu", kind: "other", text: "relu", is_priced: false, ms: 0, order: 1, applicable: {} };
const flatten = { ...relu, name: "flatten", text: "flatten", order: 2 };
const fc = { ...conv, name: "fc", kind: "dense", ms: 5, order: 3, applicable: { svd: "no.", fire: "no." } };

test("activations and reshapes get no row, but are counted", () => {
  assert.deepEqual([conv, relu, flatten, fc].filter(hasOwnRow), [conv, fc]);
  assert.equal(leftOutText([conv, relu, flatten, { ...relu }]), "3 other operations (2 relu, 1 flatten) cost nothing of their own.");
  assert.equal(leftOutText([relu]), "One other operation (relu) costs nothing of its own.");
  assert.equal(leftOutText([conv]), "");
});

test("an operator that no technique knows keeps its row", () => {
  assert.ok(hasOwnRow({ ...relu, untouched: "the operator Einsum passes through." }));
});

test("a whole is not told before all its parts are known", () => {
  assert.equal(totalMs([conv, fc]), 7);
  assert.equal(totalMs([conv, { ...fc, ms: null }]), null);
});

test("what fits is said as a count, or that nothing does", () => {
  const names = ["svd", "fire"];
  assert.equal(fitText(conv, names), "1 of 2 fit");
  assert.equal(fitText(fc, names), "none fits");
  assert.equal(fitText({ ...conv, untouched: "it is shared." }, names), "none");
});

test("layers sort by what is known, ties in the model's order", () => {
  const unknown = { ...conv, name: "late", ms: null, order: 4 };
  assert.deepEqual(sorted([conv, unknown, fc], "ms", true).map((row) => row.name), ["fc", "conv1", "late"]);
  assert.deepEqual(sorted([unknown, fc, conv], "order", false).map((row) => row.name), ["conv1", "fc", "late"]);
});
