import assert from "node:assert/strict";
import { test } from "node:test";

import { cellsOf, fitNotes, warmth } from "../../static/js/lib/heat.js";

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

test("each recipe says whether it fits the device, and a tie only this one", () => {
  const large = { misfit: "Does not fit: activations take 3 MB of RAM." };
  const small = { misfit: "" };
  assert.deepEqual(fitNotes({ recipe: small, best: small, tie: false }), []);
  assert.deepEqual(fitNotes({ recipe: large, best: small, tie: false }), [
    { text: "This recipe does not fit: activations take 3 MB of RAM.", fits: false },
    { text: "Best recipe fits.", fits: true },
  ]);
  assert.deepEqual(fitNotes({ recipe: small, best: { misfit: "May not fit: x" }, tie: false }).map(({ text }) => text), ["This recipe fits.", "Best recipe may not fit: x"]);
  assert.equal(fitNotes({ recipe: large, best: large, tie: true }).length, 1);
});
