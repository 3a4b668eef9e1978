import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gradeOf } from "../../static/js/components/gauge.js";
import { isAgreement } from "../../static/js/lib/accuracy-kind.js";
import { differenceText, flipWords, flipsCount, flipsTitle, gauges, headlineRows, layerTimesText, mixedFlips, searchText, stoppedText, verdict } from "../../static/js/lib/report.js";
import { codeIn, formatUse, languageButtons } from "../../static/js/lib/snippets.js";
import { legend, setTechniques, tile, titleOf } from "../../static/js/lib/techniques.js";
import { alternativeText, undoText, withReasons } from "../../static/js/lib/why.js";

const report = JSON.parse(readFileSync(new URL("fixtures/report.json", import.meta.url)));
const row = (goal, from = report) => headlineRows(from).find((candidate) => candidate.goal.startsWith(goal));

test("measured and predicted never carry the same words", () => {
  assert.equal(row("Latency on this host").label, "measured");
  assert.equal(row("Latency on Xiaomi").label, "similar chip");
  assert.match(row("Latency on Xiaomi").evidence, /^predicted/);
  assert.equal(row("Storage").evidence, "counted exactly");
});

test("a latency measured here does not make its energy measured", () => {
  const here = { ...report, target: "this-host", target_title: "This host", predicted: { ...report.predicted, energy_mj: { ...report.predicted.energy_mj, label: "measured" } } };
  assert.equal(row("Energy", here).label, "rough");
  assert.equal(headlineRows(here).length, 4);
});

test("a measurement outside its band is said", () => {
  assert.equal(row("Accuracy").outside, false);
  const off = { ...report, accuracy_drop_points: 2 };
  assert.equal(row("Accuracy", off).outside, true);
});

test("accuracy changes in points, with the true minus", () => {
  assert.equal(row("Accuracy").change, "−0.2 points");
});

test("a limit that only the estimate meets is likely", () => {
  assert.equal(row("Latency on Xiaomi").limit.state, "likely");
  assert.equal(row("Accuracy").limit.state, "met");
});

test("what cut a build short is said as a sentence", () => {
  assert.equal(stoppedText("time"), "The time limit was reached: this is the best found until then.");
  assert.equal(stoppedText("request"), "The build was told to finish early: this is the best found until then.");
});

test("the verdict says what was missed and by how much", () => {
  assert.equal(verdict(report).tone, "good");
  const missed = verdict({ ...report, status: "missed", limits: [{ name: "max_latency_ms", limit: 2, value: 2.4, met: false, sure: false }] });
  assert.equal(missed.tone, "warn");
  assert.equal(missed.sentence, "You asked for at most 2.0 ms of latency; this model takes 2.4 ms.");
});

test("gauges are shares of the best attainable", () => {
  const bestLog2 = { latency: Math.log2(report.ratios.target_latency) * 2, energy: 5, storage: 6 };
  const [accuracy, latency] = gauges(report, bestLog2);
  assert.equal(Math.round(accuracy[1]), 96);
  assert.equal(Math.round(latency[1]), 50);
  assert.equal(gauges(report, null)[1][1], null);
  assert.deepEqual([gradeOf(49)[1], gradeOf(50)[1], gradeOf(90)[1]], ["low", "fair", "high"]);
});

test("the page shows the code that the report carries, and nothing for a report without", () => {
  const code = [{ name: "python", title: "Python", code: "a\nb" }, { name: "cpp", title: "C++ <17>", code: "c" }];
  assert.equal(codeIn(code, "python"), "a\nb");
  assert.equal(codeIn(code, "cpp"), "c");
  assert.equal(codeIn([], undefined), "");
  assert.equal(languageButtons(code), '<button type="button" value="python" aria-pressed="true">Python</button><button type="button" value="cpp" aria-pressed="false">C++ &lt;17&gt;</button>');
});

test("a file of another format says where it ran", () => {
  assert.equal(formatUse({ path: "model.tflite", runtime: "LiteRT 2.3.0", difference: 4.2e-7 }), "ran in LiteRT 2.3.0, differs by 4e-7 of the largest output");
  assert.equal(formatUse({ path: "model.onnx" }), "");
  assert.equal(formatUse(undefined), "");
});

test("stacked techniques show both letters and names", () => {
  setTechniques({ filter_pruning: { title: "Filter pruning", letter: "P", token: "tech-prune" }, svd: { title: "Low rank", letter: "S", token: "tech-svd" } });
  assert.equal(titleOf("filter_pruning+svd"), "Filter pruning + Low rank");
  assert.match(tile("filter_pruning+svd", "8-bit weights"), /class="tech small-weights two"/);
  assert.match(tile("svd"), /--tech:var\(--tech-svd\)/);
  assert.match(legend(["svd", "keep"], ["fp32", "4-bit weights", "4-bit weights"]), /4-bit weights<\/li>$/);
});

test("an unknown technique keeps a name and never breaks the page", () => {
  assert.match(tile("<b>"), /\?/);
  assert.equal(titleOf("sparse_coding"), "sparse coding");
});

test("why is one clause with a figure", () => {
  const layer = (technique, ms, macs) => ({ layer: "a", technique, ms_before: 2, ms_after: ms, macs_before: 100, macs_after: macs, params_before: 10, params_after: macs / 10 });
  const rows = withReasons([layer("svd", 0.5, 25), { ...layer("keep", 2, 100), ms_before: 6 }]);
  assert.equal(rows[0].why, "25\u00a0% of the time; 4.0× fewer multiply–adds");
  assert.equal(rows[1].why, "75\u00a0% of the time; no change pays here");
});

test("a clause from the engine reads as a sentence of the page", () => {
  assert.equal(withReasons([{ layer: "a", why: "saves 9% of the latency" }])[0].why, "Saves 9\u00a0% of the latency");
});

test("flips show both kinds where there are both", () => {
  const flips = (fixed, count) => Array.from({ length: count }, () => ({ fixed }));
  const fixedAmong = (examples, most) => mixedFlips(examples, most).filter((flip) => flip.fixed).length;
  assert.equal(fixedAmong([...flips(false, 40), ...flips(true, 1)], 12), 1);
  assert.equal(fixedAmong([...flips(false, 30), ...flips(true, 20)], 12), 5);
  assert.equal(mixedFlips([...flips(false, 2), ...flips(true, 20)], 12).length, 12);
  assert.equal(mixedFlips([...flips(false, 2), ...flips(true, 2)], 12).length, 4);
  assert.equal(fixedAmong([...flips(false, 1), ...flips(true, 90)], 12), 11);
  assert.deepEqual(mixedFlips([], 12), []);
});

test("a reason that stacked techniques share is said once", () => {
  const [row] = withReasons([{ layer: "a", why: "saves 18% of the latency; saves 18% of the latency" }]);
  assert.equal(row.why, "Saves 18\u00a0% of the latency");
});

test("agreement never goes by the name of accuracy", () => {
  const side = (kind, words) => ({ ...report, result: { ...report.result, accuracy_kind: kind, accuracy_words: words } });
  const titled = (kind, words) => headlineRows(side(kind, words)).find((found) => /accuracy|agreement/i.test(found.goal)).goal;
  assert.equal(titled("accuracy", "accuracy"), "Accuracy");
  assert.equal(titled("agreement", "agreement"), "Agreement with the original");
  assert.equal(titled("agreement_on_synthetic_inputs", "agreement of positions on synthetic inputs"), "Agreement with the original of positions on synthetic inputs");
  assert.equal(titled("agreement_on_synthetic_inputs", undefined), "Agreement with the original on synthetic inputs");
  assert.deepEqual(["accuracy", "agreement", "agreement_on_synthetic_inputs", undefined].map(isAgreement), [false, true, true, false]);
});

test("a layer that another one's choice took out says what became of it", () => {
  const gone = (technique) => withReasons([{ layer: "pool1", technique, ms_before: 1, ms_after: 0, params_before: 0, params_after: 0, macs_before: 0, macs_after: 0 }])[0].why;
  assert.equal(gone("pool_to_stride"), "Left out: the convolution before it takes its steps");
  assert.equal(gone("global_average_pooling"), "Left out: an average takes its place");
  assert.equal(gone("something_new"), "Left out with the layer before it");
});

test("the search says who answered and how far from the best that can be", () => {
  const search = { selector: "dqn", answered_by: "nsga2", candidates_scored: 51230, candidates_built: 12, gap_to_best_found: 0, gap_bound: 0.0123 };
  assert.equal(searchText(search), "answered by NSGA-II, 51,230 candidates scored, 12 built, gap to the best found 0.00 %, proven to be at most 1.2 % from the best possible, by the predictions");
  assert.equal(searchText({ selector: "greedy", answered_by: "greedy", candidates_scored: 0, candidates_built: 3, gap_to_best_found: 0.01, gap_bound: null }), "answered by greedy search, 3 built, gap to the best found 1.00 %");
  assert.equal(searchText({ selector: "classic", answered_by: "classic", candidates_scored: 3000 }), "answered by AdaDeep as published, 3,000 candidates scored");
  assert.equal(searchText({ selector: "dqn", answered_by: "chosen", candidates_scored: 0, candidates_built: 1, gap_to_best_found: null, gap_bound: null }), "chosen by hand, 1 built");
});

test("undoing a choice and the next best ones say what each goal would lose", () => {
  setTechniques({ svd: { title: "SVD", letters: "SV" } });
  const change = { drop_points: -0.31, latency_ms: 0.42, energy_mj: 1.5, size_bytes: 12345, score: -0.1, breaks: ["max_size_bytes"] };
  assert.equal(undoText(change), "Leaving this layer untouched instead: 0.42 ms slower, 1.5 mJ more energy, 12.3 kB larger, 0.3 points more accurate; it would break your limit on storage.");
  assert.equal(undoText({}), "");
  assert.equal(alternativeText({ technique: "svd", level: "1/4", change: { latency_ms: -0.00123, breaks: [] } }, true), "Instead SVD (1/4): 1.2 µs faster.");
});

test("the change of accuracy carries its interval and what chance would do", () => {
  const changed = { ...report, accuracy_drop_ci_points: [-0.1, 0.5], accuracy_drop_chance: 0.15 };
  assert.equal(row("Accuracy", changed).note, "95 %: −0.5 to +0.1");
  assert.match(differenceText(changed), /^−0.2 points, 95 % interval −0.5 to \+0.1, .* by chance in 15 % of cases/);
  assert.equal(differenceText({ ...report, accuracy_drop_ci_points: undefined }), "");
});

test("without labels an answer differs, it is not wrong", () => {
  const [flip] = report.flipped.examples;
  const unlabelled = { ...report, result: { ...report.result, accuracy_kind: "agreement" } };
  assert.deepEqual(flipWords(flip, report), { tone: "bad", word: "broken", label: "cat" });
  assert.deepEqual(flipWords(flip, unlabelled), { tone: "warn", word: "differs", label: "" });
  assert.match(flipsTitle(unlabelled), /differ from the original/);
  assert.doesNotMatch(flipsCount(unlabelled), /broken/);
});

test("times of single layers are never called measured", () => {
  assert.equal(layerTimesText({ ...report, target: "this-host" }), "Predicted from operations timed on this computer.");
  assert.match(layerTimesText(report), /^Predicted for Xiaomi Redmi 3S \(similar chip\)/);
});
