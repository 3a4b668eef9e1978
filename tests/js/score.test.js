import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { best, excess, normalised, prepare, respects, terms } from "../../static/js/lib/score.js";

const read = (name) => JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url)));
const examples = read("scores");
const none = { max_accuracy_drop: null, max_latency_ms: null, max_energy_mj: null, max_size_bytes: null };
const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-8, `${a} is not ${b}`);

test("the score is the engine's, example by example", () => {
  const { baseline, best_log2: bestLog2, goals, candidates, scores } = examples;
  const weights = Object.values(goals);
  candidates.forEach((candidate, i) => {
    const score = terms(candidate, baseline, bestLog2).reduce((sum, term, k) => sum + weights[k] * term, 0);
    close(score, scores[i]);
  });
});

test("the excess over limits is the engine's, example by example", () => {
  examples.candidates.forEach((candidate, i) => close(excess(candidate, examples.budgets), examples.excess[i]));
});

test("limits filter first, then the score decides", () => {
  const { baseline, best_log2: bestLog2, goals, candidates, budgets } = examples;
  const found = best(prepare(candidates, baseline, bestLog2), goals, budgets);
  assert.equal(found.candidate.id, examples.best);
});

test("the best of a set is what a plain loop finds", () => {
  const { candidates, baseline, best_log2: bestLog2 } = read("studio");
  const prepared = prepare(candidates, baseline, bestLog2);
  const budgets = { ...none, max_accuracy_drop: 1 };
  const shares = normalised({ accuracy: 30, latency: 25, energy: 25, storage: 20 });
  const inside = candidates.filter((c) => c.drop_points <= 1);
  const value = (c) => terms(c, baseline, bestLog2).reduce((sum, t, i) => sum + t * Object.values(shares)[i], 0);
  const expected = inside.reduce((a, b) => (value(b) > value(a) ? b : a));
  const found = best(prepared, shares, budgets);
  assert.equal(found.candidate.id, expected.id);
  assert.equal(found.feasible, true);
  assert.equal(found.within, inside.length);
});

test("when no candidate keeps the limits, the nearest is shown and said to be so", () => {
  const { candidates, baseline, best_log2: bestLog2 } = read("studio");
  const found = best(prepare(candidates, baseline, bestLog2), normalised({}), { ...none, max_latency_ms: 0.001 });
  assert.equal(found.feasible, false);
  assert.equal(found.candidate.latency_ms, Math.min(...candidates.map((c) => c.latency_ms)));
});

test("all goals at zero mean equal shares", () => {
  assert.deepEqual(normalised({}), { accuracy: 0.25, latency: 0.25, energy: 0.25, storage: 0.25 });
  assert.deepEqual(normalised({ accuracy: 0, latency: 100 }), { accuracy: 0, latency: 1, energy: 0, storage: 0 });
});

test("no candidates give no answer", () => {
  assert.equal(best([], normalised({}), none).candidate, null);
});

test("locks hold, keep and exclude", () => {
  const candidate = { tiles: [{ layer: "a", technique: "filter_pruning+svd" }, { layer: "b", technique: "keep" }] };
  assert.equal(respects(candidate, { a: { technique: "svd" } }), true);
  assert.equal(respects(candidate, { a: "keep" }), false);
  assert.equal(respects(candidate, { b: "keep" }), true);
  assert.equal(respects(candidate, { a: { exclude: ["svd"] } }), false);
  assert.equal(respects(candidate, { b: { technique: "svd" } }), false);
  assert.equal(respects(candidate, { a: { treatments: { svd: {}, filter_pruning: {} } } }), true);
  assert.equal(respects(candidate, { a: { treatments: { svd: {} } } }), false);
});

test("three hundred candidates are scored in well under a frame", () => {
  const { candidates, baseline, best_log2: bestLog2 } = read("studio");
  const many = Array.from({ length: 300 }, (_, i) => ({ ...candidates[i % candidates.length], id: i }));
  const prepared = prepare(many, baseline, bestLog2);
  best(prepared, normalised({}), none);
  const start = performance.now();
  for (let i = 0; i < 100; i += 1) best(prepared, normalised({ latency: i, storage: 50 }), { ...none, max_accuracy_drop: 1 });
  assert.ok((performance.now() - start) / 100 < 2);
});
