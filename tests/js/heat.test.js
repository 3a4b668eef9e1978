import assert from "node:assert/strict";
import { test } from "node:test";

import { cellsOf, warmth } from "../../static/js/lib/heat.js";

test("nothing gained is cold, eight times is as warm as it gets", () => {
  assert.equal(warmth(1), 0);
  assert.equal(warmth(0.5), 0);
  assert.equal(warmth(8), 1);
  assert.equal(warmth(100), 1);
  assert.ok(warmth(2) < warmth(4));
});

test("predicted figures have two digits at most", () => {
  const cells = cellsOf({ latency_ms: 12.345, times_faster: 3.456, times_less_energy: 2.345, times_smaller: 8.06, drop_points: 0.44 });
  assert.deepEqual(cells.map((cell) => cell.text), ["12 ms", "3.5×", "2.3×", "8.1×", "0.4"]);
});
