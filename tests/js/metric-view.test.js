import assert from "node:assert/strict";
import { test } from "node:test";
import { WAITING, metricView } from "../../static/js/lib/metric-view.js";

const BASELINE = { accuracy: 0.99, latency_ms: 3, energy_mj: 2, size_bytes: 1e6 };
const estimate = (value, low, high, label = "rough") => ({ value, low, high, label });
const latency = (...of) => metricView("latency_ms", BASELINE, { latency_ms: estimate(...of) });
const accuracy = (drop, kind) => metricView("accuracy", BASELINE, { accuracy_drop_points: drop }, kind);
const line = ({ from, to, band }) => `${from}${to} ${band}`.trim();

test("a cost says how many times less, then from what to what with its band, then how that is known", () => {
  const view = latency(1.5, 1, 2.25, "similar chip");
  assert.equal(`${view.number} ${view.unit}`, "2.0× faster");
  assert.equal(line(view), "3.0 → 1.5 ms (1.0–2.3)");
  assert.equal(view.text, "predicted ×/÷ 1.5");
  assert.deepEqual([view.way, view.tone], ["down", "good"]);
});

test("a cost that grows says so by word, arrow and tone", () => {
  const { number, unit, way, tone } = latency(6, 4, 9);
  assert.deepEqual([number, unit, way, tone], ["2.0×", "slower", "up", "bad"]);
});

test("a change that would read as none is none", () => {
  const { number, unit, way, tone } = metricView("energy_mj", BASELINE, { energy_mj: estimate(1.999, 1, 4) });
  assert.deepEqual([number, unit, way, tone], ["1.0×", "unchanged", "same", "muted"]);
});

test("what is measured or counted has a digit more; what is counted, or as good as certain, has no band", () => {
  const timed = latency(1.234, 1.1, 1.4, "measured");
  assert.deepEqual([timed.number, timed.text], ["2.43×", "measured"]);
  assert.equal(line(timed), "3.00 → 1.23 ms (1.1–1.4)");
  const counted = metricView("size_bytes", BASELINE, { size_bytes: estimate(2.5e5, 2.5e5, 2.5e5, "exact") });
  assert.deepEqual([counted.number, line(counted), counted.text], ["4.00×", "1.00 MB → 250 kB", "counted exactly"]);
  assert.equal(latency(1.5, 1.46, 1.54).band, "");
});

test("accuracy says its points with their sign, and a loss in words and arrow", () => {
  const lost = accuracy(estimate(0.6, 0.1, 1.1), "accuracy");
  assert.deepEqual([lost.number, lost.unit, lost.way, lost.tone], ["−0.6", "points", "down", "warn"]);
  assert.equal(line(lost), "99.0 → 98.4 % (97.9–98.9)");
  assert.equal(lost.text, "rough ±0.5 pt");
  const kept = accuracy(estimate(0.01, 0.01, 0.01, "measured"), "accuracy");
  assert.deepEqual([kept.number, kept.band, kept.text, kept.way], ["0.0", "", "measured", "same"]);
});

test("accuracy never promises more than all answers right", () => {
  assert.equal(accuracy(estimate(-0.3, -1.2, 0.6, "calibrated")).band, "(98.4–100.0)");
});

test("without labels the points are points of agreement", () => {
  assert.equal(accuracy(estimate(0, 0, 0), "agreement").unit, "points of agreement");
});

test("what is not known yet is a dash, never a zero", () => {
  assert.equal(metricView("size_bytes", BASELINE, {}), WAITING);
  assert.equal(metricView("latency_ms", { latency_ms: 0 }, { latency_ms: estimate(1, 1, 1) }), WAITING);
  assert.equal(metricView("accuracy", { accuracy: null }, { accuracy_drop_points: estimate(0, 0, 0) }), WAITING);
  assert.equal(WAITING.number, "–");
});
