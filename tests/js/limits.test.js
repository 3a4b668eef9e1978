import assert from "node:assert/strict";
import { test } from "node:test";
import { bandText, evidenceText, tierOf, typicalError } from "../../static/js/lib/evidence.js";
import { brokenLimits, conflictText, limitState, limitText, loosening, looseningText, nearestText, recoveryText, stepped } from "../../static/js/lib/limits.js";
import { lockPrice } from "../../static/js/lib/lock-price.js";
import { predictionOf } from "../../static/js/lib/bands.js";

test("met only when the upper end of the band passes", () => {
  assert.equal(limitState(6, 3, 5), "met");
  assert.equal(limitState(6, 5, 8), "likely");
  assert.equal(limitState(6, 7, 9), "not met");
  assert.equal(limitState(null, 7, 9), "no limit");
  assert.equal(limitState(6, undefined, undefined), "unknown");
});

test("a step of a limit is one in its second digit, or what the field steps by", () => {
  assert.equal(stepped(1.9, 1, "any"), 2);
  assert.equal(stepped(1, -1, "any"), 0.99);
  assert.equal(stepped(0.99, 1, "any"), 1);
  assert.equal(stepped(99, 2, "any"), 110);
  assert.equal(stepped(1.23, 1, "any"), 1.3);
  assert.equal(stepped(1.23, -1, "any"), 1.2);
  assert.equal(stepped(1.9, 10, "any"), 2.9);
  assert.equal(stepped(1, 2, 0.1), 1.2);
  assert.equal(stepped(0.1, -10, 0.1), 0);
  assert.ok(stepped(0, 1, "any") > 0);
});

const candidates = [
  { drop_points: 0.4, latency_ms: 1.84, energy_mj: 9, size_bytes: 3e6 },
  { drop_points: 1.23, latency_ms: 1.1, energy_mj: 5, size_bytes: 2e6 },
];

test("each limit is told what alone would let a candidate in", () => {
  const needed = loosening(candidates, { max_accuracy_drop: 1, max_latency_ms: 1.2, max_energy_mj: null, max_size_bytes: null });
  assert.deepEqual(needed, { max_accuracy_drop: 1.23, max_latency_ms: 1.84 });
  assert.equal(looseningText(needed), "Allow 1.3 points, or loosen latency to 1.9 ms.");
});

test("broken limits are told with both figures, and digits enough to tell them apart", () => {
  const [slow] = candidates;
  assert.deepEqual(brokenLimits(slow, { max_latency_ms: 1.2 }), ["latency 1.8 ms, limit 1.2"]);
  assert.deepEqual(brokenLimits(slow, { max_latency_ms: 1.8 }), ["latency 1.84 ms, limit 1.80"]);
  assert.deepEqual(brokenLimits(slow, { max_accuracy_drop: 0, max_size_bytes: 2e6, max_energy_mj: null }), ["loses 0.40 points, limit 0", "size 3.0 MB, limit 2.0"]);
  assert.deepEqual(brokenLimits(slow, { max_latency_ms: 0.0012 }), ["latency 1.8 ms, limit 0.0012"]);
  assert.deepEqual(brokenLimits(slow, {}), []);
});

test("the advice still holds when it is typed in", () => {
  assert.equal(looseningText({ max_latency_ms: 0.0401 }), "Loosen latency to 0.041 ms.");
  assert.equal(looseningText({ max_size_bytes: 12_345_678 }), "Loosen storage to 13 MB.");
});

test("two limits that only together can be met are said so", () => {
  assert.equal(looseningText({}), "No single limit is enough to loosen.");
});

test("evidence is never shown better than it is", () => {
  assert.equal(tierOf("measured"), "measured");
  assert.equal(tierOf("similar chip"), "similar");
  assert.equal(tierOf("something new"), "rough");
});

test("bands read as percent when small and as a factor when large", () => {
  assert.equal(bandText(0.77, 1.3), "±30 %");
  assert.equal(bandText(0.7, 1.3), "±30 %");
  assert.equal(bandText(0.5, 1.5), "±50 %");
  assert.equal(bandText(0.4, 2.5), "×/÷ 2.5");
  assert.equal(bandText(1 / 1.7, 1.7), "×/÷ 1.7");
  assert.equal(bandText(0.97, 1.03), "±3 %");
  assert.equal(bandText(1, 1), "");
});

test("half of the predictions are nearer than a band of nine in ten", () => {
  assert.equal(typicalError(1.3), "±11 %"); // exp(0.6745 / 1.6449 * ln 1.3)
  assert.equal(typicalError(1.8), "±27 %");
  assert.equal(typicalError(1.001), "±1 %");
});

test("the words beside a number say how it is known", () => {
  assert.equal(evidenceText("similar chip", 1 / 1.7, 1.7), "predicted ×/÷ 1.7");
  assert.equal(evidenceText("rough", 0.5, 2), "rough ×/÷ 2");
  assert.equal(evidenceText("exact", 1, 1), "counted exactly");
  assert.equal(evidenceText("measured", 0.9, 1.1), "measured");
});

test("a candidate gets the bands of its device", () => {
  const bands = { latency: [0.5, 2], energy: [0.4, 2.5], labels: { latency: "rough", energy: "rough", accuracy: "calibrated" } };
  const prediction = predictionOf(candidates[0], bands);
  assert.deepEqual(prediction.latency_ms, { value: 1.84, low: 0.92, high: 3.68, label: "rough" });
  assert.deepEqual(prediction.accuracy_drop_points, { value: 0.4, low: 0.4, high: 0.4, label: "calibrated" });
});

test("a candidate that brings its own bands has them, and what was built is measured", () => {
  const bands = { latency: [0.5, 2], energy: [0.4, 2.5], labels: { accuracy: "calibrated" } };
  const ends = { drop_points: [0.3, 0.9], latency_ms: [1, 4], energy_mj: [1, 9], size_bytes: [90, 110] };
  const { accuracy_drop_points: drop, latency_ms: latency } = predictionOf({ ...candidates[0], ends }, bands);
  assert.deepEqual([drop.low, drop.high, drop.label, latency.low, latency.high], [0.3, 0.9, "calibrated", 1, 4]);
  const built = predictionOf({ ...candidates[0], ends: { ...ends, drop_points: null }, validated: true }, bands);
  assert.deepEqual(built.accuracy_drop_points, { value: 0.4, low: 0.4, high: 0.4, label: "measured" });
});

test("a lock says its price in the numbers that changed", () => {
  const at = (ms, size, points) => ({ latency_ms: { value: ms }, size_bytes: { value: size }, accuracy_drop_points: { value: points } });
  assert.equal(lockPrice("conv4_2", "lock", at(3, 1e6, 0.5), at(3.3, 1e6, 0.5)), "Locking conv4_2 costs 0.30 ms.");
  assert.equal(lockPrice("fc1", "exclude", at(3, 1e6, 0.5), at(3, 2e6, 0.3)), "Leaving fc1 untouched costs 1.00 MB and saves 0.2 points.");
  assert.equal(lockPrice("fc1", "lock", at(3, 1e6, 0.5), at(3, 1e6, 0.5)), "Locking fc1 costs nothing.");
  assert.equal(lockPrice("fc1", "take", at(3, 1e6, 0.5), at(2.5, 1e6, 0.5)), "Taking this on fc1 saves 0.50 ms.");
});

test("limits that exclude each other are named, with what the nearest needs", () => {
  assert.equal(conflictText({ sets: [["max_accuracy_drop", "max_latency_ms"]] }), "Your limits on accuracy and latency exclude each other.");
  assert.equal(conflictText({ sets: [["max_size_bytes"]] }), "No recipe found reaches your limit on storage.");
  assert.match(conflictText({ sets: [["max_accuracy_drop", "max_latency_ms"]], unsure: true }), /exclude each other\. Predictions of accuracy are so rough/);
  assert.equal(nearestText({ max_latency_ms: 1.83, max_accuracy_drop: 1.21 }), "The nearest needs 1.9 ms and 1.3 points.");
  assert.equal(looseningText({}), "No single limit is enough to loosen.");
});

test("what fine-tuning has to recover is said, and when a limit hangs on it", () => {
  const prediction = { accuracy_drop_points: { value: 0.8, low: 0.3, high: 1.9 }, untuned_drop_points: { value: 12, low: 5, high: 30 } };
  assert.equal(recoveryText(prediction), "Without fine-tuning this recipe would lose about 12.0 points (5.0–30.0), with it 0.8 points (0.3–1.9).");
  assert.match(recoveryText(prediction, 1), /^Your accuracy limit is met only with fine-tuning: without it this recipe/);
  assert.equal(recoveryText({ ...prediction, untuned_drop_points: null }), "");
  assert.equal(recoveryText({ ...prediction, untuned_drop_points: { value: 1, low: 0.5, high: 2 } }, 1), "");
});

test("a small limit is written out", () => {
  assert.equal(limitText("max_size_bytes", 3000), "0.003 MB");
  assert.equal(limitText("max_latency_ms", 0.0042), "0.0042 ms");
  assert.equal(limitText("max_latency_ms", 4.24), "4.2 ms");
});
