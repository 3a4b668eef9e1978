import assert from "node:assert/strict";
import { test } from "node:test";
import { buildRow, changeText, factsText, finalistRow, finalistsText, isNewlyDone, powerText, taskText, threadsText } from "../../static/js/lib/device-tasks.js";

const pair = { original_ms: { p10: 3.9, p50: 4.02, p90: 4.4 }, result_ms: { p10: 1.9, p50: 2.01, p90: 2.3 }, rounds: 40, ratio: 2.0, ratio_ci: [1.95, 2.06] };
const task = { id: "t", device: "My <board>", state: "done", is_open: false, message: "", finished: new Date().toISOString(), pair, device_state: { state: "idle" } };

test("what a device measured is told with its spread, and as measured", () => {
  const row = buildRow(task);
  assert.match(row, /2\.01 ms \(1\.90–2\.30\)/);
  assert.match(row, /measured on the device, 40 paired rounds/);
  assert.match(row, /My &lt;board&gt;/);
});

test("a range that holds 1 is no difference", () => {
  assert.deepEqual(changeText(pair), ["good", "2.00× faster (1.95–2.06×)"]);
  assert.equal(changeText({ ratio: 1.01, ratio_ci: [0.98, 1.03] })[0], "muted");
  assert.equal(changeText({ ratio: 1.0025, ratio_ci: [1.0017, 1.0031] })[0], "muted");
  assert.deepEqual(changeText({ ratio: 0.5, ratio_ci: [0.4, 0.8] }), ["bad", "2.00× slower (1.25–2.50×)"]);
});

test("what was done since is told apart from what had been done, whatever the device's state", () => {
  const tasks = (...states) => ({ tasks: states.map((state, id) => ({ id, state })) });
  assert.equal(isNewlyDone(tasks("leased", "done"), tasks("done", "done")), true);
  assert.equal(isNewlyDone(tasks("waiting", "leased"), tasks("waiting", "done")), true);
  assert.equal(isNewlyDone(tasks("done"), { tasks: [{ id: 7, state: "done" }, { id: 0, state: "done" }] }), true);
  assert.equal(isNewlyDone(tasks("leased", "done"), tasks("failed", "done")), false);
  assert.equal(isNewlyDone(tasks("done", "done"), tasks("done", "done")), false);
  assert.equal(isNewlyDone(null, tasks("done")), false);
});

test("a device that is away leaves the predictions standing", () => {
  const waiting = { ...task, state: "waiting", pair: null, is_open: true, device_state: { state: "offline" } };
  assert.match(taskText(waiting), /offline\. The build stands with its predictions/);
  assert.match(buildRow(waiting), /data-stop="t"/);
  assert.match(taskText({ ...waiting, device_state: { state: "busy" } }), /as soon as the device is free/);
});

test("threads are told only where there are several", () => {
  assert.equal(threadsText({ 1: 3.2 }), "");
  assert.equal(threadsText({ 1: 3.2, 2: 2 }), "A small mobile network: 3.20 ms on 1 thread, 2.00 ms on 2 threads.");
});

test("power is told with its source, and only where the device tells it", () => {
  const row = (mj) => ({ source: "RAPL package-0", run_mj: mj, above_rest_w: 2.1 });
  assert.equal(powerText([row(12.14), row(6.3)]), "12.1 → 6.30 mJ a run, 2.10 W above rest, measured by RAPL package-0.");
  assert.equal(powerText([]), "");
  assert.match(buildRow({ ...task, power: [row(1)] }), /1\.00 mJ a run/);
});

test("candidates are told with what was predicted of them before, and how many lay inside the band", () => {
  const row = (predicted_ms, inside) => ({ title: "digits, <b>3", predicted_ms, predicted_band_ms: [0.8 * predicted_ms, 1.25 * predicted_ms], measured_ms: { p10: 1.9, p50: 2, p90: 2.2 }, inside });
  assert.match(finalistRow(row(2.234, true)), /digits, &lt;b&gt;3.*2\.2 ms \(1\.8–2\.8\).*2\.00 ms \(1\.90–2\.20\).*yes/);
  assert.match(finalistRow(row(9, false)), /class="warn">no</);
  assert.match(finalistsText([row(2.1, true), row(2.2, true), row(3, false)]), /^2 of 3 inside the band.* at most 10 %\.$/);
  assert.equal(finalistsText([]), "");
});

test("an agent that has said nothing yet has no facts", () => {
  assert.equal(factsText({}), "");
  assert.match(factsText({ processor: "Cortex", cores: 4, system: "Linux", onnxruntime: "1.20", python: "3.11" }), /^Cortex · 4 cores · Linux · ONNX Runtime 1\.20/);
});
