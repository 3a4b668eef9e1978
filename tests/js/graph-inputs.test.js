import assert from "node:assert/strict";
import { test } from "node:test";
import { inputsOf } from "../../static/js/lib/graph-inputs.js";

test("an open dimension is one, and floats are neither zero nor all the same", () => {
  const [input] = inputsOf([{ name: "x", type: "float32", shape: ["batch", 3, 8, 8] }]);
  assert.deepEqual([input.name, input.dims, input.data.length], ["x", [1, 3, 8, 8], 192]);
  assert.ok(new Set(input.data).size > 100);
  assert.ok(input.data.every((value) => Math.abs(value) <= 1));
});

test("whole numbers stay zero, which every table of words has", () => {
  const [input] = inputsOf([{ name: "ids", type: "int64", shape: [1, 4] }]);
  assert.deepEqual([...input.data], [0n, 0n, 0n, 0n]);
});

test("what a browser cannot be fed is refused by name", () => {
  assert.throws(() => inputsOf([{ name: "words", type: "string", shape: [1] }]), /words holds string/);
  assert.throws(() => inputsOf([{ name: "x", type: "float32", shape: [1, 1e9] }]), /too large/);
});
