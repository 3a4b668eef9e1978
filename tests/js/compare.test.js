import assert from "node:assert/strict";
import { test } from "node:test";
import { accuracyVerdict, addressOf, configText, deviceGroups, foldedRows, headlineRows, knownText, lanesOf, msChange, nameOf, partsOfName, recipeGroups, verdict } from "../../static/js/lib/compare.js";

const predicted = (value, share = 0.3) => ({ value, low: value * (1 - share), high: value * (1 + share), label: "similar chip" });
const exact = (value) => ({ value, low: value, high: value, label: "exact" });
const pairs = (text) => [...text].map((letter, i) => ({ a: i, b: i, same: letter === "=" }));

test("a layer that is gone on both sides takes equally long", () => {
  assert.equal(msChange(0, 0), 0);
  assert.equal(msChange(1, 1.004), 0);
  assert.equal(msChange(2, 1.5), -0.5);
});

test("two predictions closer than their band are a tie, and the text says by how much", () => {
  assert.deepEqual(verdict(predicted(10), predicted(9)), { who: "tie", text: "B ahead by 11 %, inside the band" });
  assert.deepEqual(verdict(predicted(10), predicted(4)), { who: "B", text: "2.5× less" });
  assert.equal(verdict(predicted(9, 0.01), predicted(10, 0.01)).who, "A");
});

test("counted values win by little, and are equal only when they are", () => {
  assert.deepEqual(verdict(exact(91), exact(100)), { who: "A", text: "9 % less" });
  assert.equal(verdict(exact(100), exact(100)).who, "equal");
  assert.equal(verdict(exact(0), exact(0)).who, "equal");
});

test("more accuracy wins, beyond the wider of both bands", () => {
  const side = (value, half) => ({ value, low: value - half, high: value + half });
  assert.equal(accuracyVerdict(side(92, 0.2), side(91, 0.2)).who, "A");
  assert.match(accuracyVerdict(side(92, 0.2), side(91.8, 0.4)).text, /^A ahead by 0.2 points, inside ±0.4$/);
});

test("the headline tells accuracy first and leaves out what one side does not know", () => {
  const values = { accuracy_drop_points: { value: 0.5, low: 0.1, high: 0.9, label: "measured" }, latency_ms: predicted(3), energy_mj: predicted(9), size_bytes: exact(2000), params: exact(5) };
  const side = { baseline: { accuracy: 0.99 }, values, accuracy_kind: "accuracy" };
  const rows = headlineRows(side, side);
  assert.deepEqual(rows.map((row) => row.goal), ["Accuracy", "Latency", "Energy", "Storage", "Parameters"]);
  assert.deepEqual([rows[0].a, rows[0].evidence[0], rows[1].evidence[0]], ["98.5 %", "measured", "predicted ±30 %"]);
});

test("accuracy and agreement are not compared with each other", () => {
  const values = (drop) => ({ accuracy_drop_points: { value: drop, low: drop, high: drop, label: "measured" } });
  const labelled = { baseline: { accuracy: 0.9 }, values: values(1), accuracy_kind: "accuracy" };
  const unlabelled = { baseline: { accuracy: 1 }, values: values(1), accuracy_kind: "agreement" };
  const [{ goal, who }] = headlineRows(labelled, unlabelled);
  assert.deepEqual([goal, who], ["Accuracy / Agreement with the original", "not comparable"]);
  const [same] = headlineRows(unlabelled, unlabelled);
  assert.deepEqual([same.goal, same.who], ["Agreement with the original", "equal"]);
});

test("the latency of a build for another device is never called measured", () => {
  const side = (isMeasured, label) => ({ is_measured: isMeasured, values: { latency_ms: { label } } });
  assert.equal(knownText(side(true, "similar chip")), "latency predicted, the rest measured");
  assert.equal(knownText(side(true, "measured")), "measured");
  assert.equal(knownText(side(false, "calibrated")), "predicted");
});

test("long unchanged runs are folded, short ones stay, and a person can unfold", () => {
  const layers = pairs(`!${"=".repeat(212)}!==!`);
  assert.deepEqual(foldedRows(layers), [{ pair: 0 }, { fold: 212, from: 1 }, { pair: 213 }, { pair: 214 }, { pair: 215 }, { pair: 216 }]);
  assert.equal(foldedRows(layers, { open: new Set([1]) }).length, layers.length);
  assert.deepEqual(foldedRows(layers, { strict: true }).map((row) => row.fold ?? 0), [0, 212, 0, 2, 0]);
  assert.deepEqual(foldedRows([]), []);
});

test("only lines past other rows need a lane; those side by side share none", () => {
  assert.deepEqual(lanesOf([[], [0], [1]]), []);
  assert.deepEqual(lanesOf([[], [0], [1, 0], [2], [3, 2]]), [{ from: 0, to: 2, lane: 0 }, { from: 2, to: 4, lane: 0 }]);
  const [outer, inner] = lanesOf([[], [0], [1], [2, 1], [3, 0]]);
  assert.notEqual(outer.lane, inner.lane);
});

test("a thousand layers that all read the first stay within the lanes there are", () => {
  const lanes = lanesOf(Array.from({ length: 1000 }, (_, i) => (i > 1 ? [0, i - 1] : [])));
  assert.ok(Math.max(...lanes.map((edge) => edge.lane)) < 6);
});

test("a side that is not among the choices stands before them, whatever projects are called", () => {
  const projects = [{ id: "p", name: "of the selected", target: "rpi4", builds: [{ name: "b1", title: "Build" }] }];
  const gone = { kind: "build", name: "b9", title: "Build of 1 May", target: { name: "own-9", title: "Old phone" } };
  assert.deepEqual(recipeGroups(gone, projects)[0], { options: [["b9", "Build of 1 May"]] });
  assert.deepEqual(recipeGroups({ ...gone, name: "b1" }, projects).map(({ label }) => label), ["of the selected"]);
  assert.deepEqual(deviceGroups(gone, [{ name: "rpi4", title: "Pi 4", family: "board" }]), [{ options: [["own-9", "Old phone"]] }, { label: "Boards", options: [["rpi4", "Pi 4"]] }]);
});

test("a picked recipe is listed in its project", () => {
  const picked = { kind: "recipe", name: "p@rpi4@3.0x3", title: "Picked recipe", target: { name: "rpi4" } };
  const [group] = recipeGroups(picked, [{ id: "p", name: "LeNet", target: "rpi4", builds: [] }]);
  assert.deepEqual(group.options.map(([name]) => name), ["p@rpi4", "p@rpi4@original", "p@rpi4@3.0x3"]);
});

test("a side's name is taken apart and put together again", () => {
  assert.equal(configText([3, 0, 0, 0, 12]), "3.0x3.12");
  assert.equal(nameOf(partsOfName("p@redmi-3s@3.0x3")), "p@redmi-3s@3.0x3");
  assert.equal(nameOf({ ...partsOfName("p@redmi-3s"), device: "rpi4" }), "p@rpi4");
  assert.deepEqual(partsOfName("build-id"), { build: "build-id" });
});

test("a second candidate is compared with the one before", () => {
  assert.equal(addressOf("p@rpi4@3.0", null), "/compare/?a=p@rpi4@3.0");
  assert.equal(addressOf("p@rpi4@3.0", "p@rpi4@3.0"), "/compare/?a=p@rpi4@3.0");
  assert.equal(addressOf("p@rpi4@1.0", "p@rpi4@3.0"), "/compare/?a=p@rpi4@3.0&b=p@rpi4@1.0");
});
