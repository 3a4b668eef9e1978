import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../static/js/lib/format.js";

test("predictions have at most two significant digits", () => {
  const cases = [[3.34, "3.3"], [28.4, "28"], [0.0512, "0.051"], [0.62, "0.62"], [9.97, "10"], [0.996, "1.0"], [104, "100"], [1234, "1,200"], [1, "1.0"]];
  for (const [value, text] of cases) assert.equal(format.predicted(value), text);
});

test("measurements have three significant digits", () => {
  const cases = [[1.134, "1.13"], [10.42, "10.4"], [0.0512, "0.0512"], [0.123, "0.123"], [104.4, "104"], [9.999, "10.0"]];
  for (const [value, text] of cases) assert.equal(format.measured(value), text);
});

test("layers are told in microseconds where every network is that fast", () => {
  const { isMicro, unit, show } = format.layerTimes(0.15, 0.02);
  assert.deepEqual([isMicro, unit, show(0.0042)], [true, "µs", "4.2"]);
  assert.deepEqual([format.layerTimes(0.15, 3).unit, format.layerTimes(null).unit], ["ms", "ms"]);
});

test("below 0.005 reads as less than a hundredth, zero as zero", () => {
  assert.equal(format.predicted(0.004), "<0.01");
  assert.equal(format.predicted(0), "0");
});

test("minus is the true sign and nothing is plus or minus zero", () => {
  assert.equal(format.signed(-0.52), "−0.5");
  assert.equal(format.signed(0.21), "+0.2");
  assert.equal(format.signed(-0.01), "0.0");
  assert.equal(format.predicted(-3.34), "−3.3");
});

test("sizes are powers of ten with a space", () => {
  const cases = [[312, "312 B"], [48_120, "48.1 kB"], [1_840_123, "1.84 MB"], [59_900_000, "59.9 MB"], [244_000_000, "244 MB"], [2.4e9, "2.40 GB"], [999_600, "1.00 MB"]];
  for (const [value, text] of cases) assert.equal(format.bytes(value), text);
});

test("a range of sizes says its unit once", () => {
  assert.equal(format.bytesRange(1.23e6, 1.3e6), "1.23–1.30 MB");
  assert.equal(format.bytesRange(0.98e6, 1.02e6), "980 kB–1.02 MB");
});

test("counts take an SI prefix", () => {
  const cases = [[512, "512"], [61_706, "61.7 k"], [590_080, "590 k"], [14_980_000, "15.0 M"], [313e6, "313 M"]];
  for (const [value, text] of cases) assert.equal(format.count(value), text);
});

test("exact bytes are whole numbers with thousands", () => {
  assert.equal(format.exactBytes(54_321), "54,321 bytes");
});

test("durations are words", () => {
  const cases = [[0.4, "under 1 s"], [4, "4 s"], [60, "1 min"], [130, "2 min 10 s"], [3900, "1 h 5 min"]];
  for (const [value, text] of cases) assert.equal(format.duration(value), text);
});

test("time left is a range", () => {
  assert.equal(format.timeLeft(540, 840), "9–14 min left");
  assert.equal(format.timeLeft(8, 20), "8–20 s left");
  assert.equal(format.timeLeft(30, 65), "under 2 min left");
  assert.equal(format.timeSpan(130, 300), "2–5 min");
  assert.equal(format.timeSpan(3900, 7000), "65–117 min");
  assert.equal(format.timeSpan(14_220, 26_520), "3–8 h");
  assert.equal(format.timeLeft(undefined, undefined), "");
});

test("when something changed reads as people say it", () => {
  const now = Date.parse("2026-11-22T14:00:00Z");
  assert.equal(format.ago("2026-11-22T13:59:30Z", now), "just now");
  assert.equal(format.ago("2026-11-22T11:59:00Z", now), "2 h ago");
  assert.equal(format.ago("2026-11-21T13:00:00Z", now), "yesterday");
  assert.equal(format.ago("2026-11-12T13:00:00Z", now), "12 Nov");
});

test("what is not a number is a dash, never NaN", () => {
  for (const show of [format.predicted, format.bytes, format.count, format.ratio, format.percent, format.duration]) {
    assert.equal(show(undefined), "–");
    assert.equal(show(NaN), "–");
  }
});

test("a hash is shortened in the middle", () => {
  assert.equal(format.shortHash(`7b1e${"0".repeat(56)}a26f`), "7b1e…a26f");
});
