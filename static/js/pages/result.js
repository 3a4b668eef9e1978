// Report: decide, convince others, take the file.
import "../components/help-note.js";
import "../components/device-measurements.js";
import "../components/plot-figure.js";
import { gauge } from "../components/gauge.js";
import { PAGE_ROWS, pagerBelow, showPager } from "../components/pager.js";
import { ShareCard } from "../components/share-card.js";
import { inputPicture } from "../components/input-picture.js";
import { isAgreement } from "../lib/accuracy-kind.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { copyText } from "../lib/clipboard.js";
import { $, escape, pageData, segmented, setText } from "../lib/dom.js";
import { count, duration, exactBytes, layerTimes, percent, predicted, shortHash, whole } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { STATE_LOOK } from "../lib/limits.js";
import { badge, beforeAfter, note } from "../lib/markup.js";
import { differenceText, flipWords, flipsCount, flipsTitle, gauges, headlineRows, layerTimesText, mixedFlips, searchText, stoppedText, targetTitle, verdict } from "../lib/report.js";
import { GOALS } from "../lib/score.js";
import { codeIn, formatUse, languageButtons } from "../lib/snippets.js";
import { alternativeText, undoText, withReasons } from "../lib/why.js";
import { isSmall, legend, setTechniques, tile, titleOf, lookOf } from "../lib/techniques.js";

const { job, report, figures = {}, techniques = {}, best_log2: bestLog2 = null } = pageData();
const layers = withReasons(report.layers ?? []);
const times = layerTimes(report.predicted.latency_ms.baseline);
const FILE_USE = { "model.onnx": "ONNX, any runtime: the file that was measured", "model.int8.onnx": "ONNX, computes in 8 bits", "model.onnx.xz": "the measured file packed: xz unpacks it", "model.int8.onnx.xz": "the measured file packed: xz unpacks it", "bundle.zip": "everything, with recipe and seed", "report.html": "this page as one file", "report.json": "all numbers on this page", "recipe.json": "the recipe, replayable", "preprocessing.json": "how inputs are prepared", "README.md": "how to run it", "classes.txt": "names of the outputs", SHA256SUMS: "checksums of all files" };

setTechniques(techniques);

/* ----- head ----- */
const { tone, words, sentence } = verdict(report);
$("#title").innerHTML = `<bdi>${escape(job.project?.name ?? report.model_name)}</bdi> for ${escape(targetTitle(report))}`;
$("#verdict").className = `pill ${tone}`;
$("#verdict").textContent = words;
const tested = `${whole(report.result.n_test)} test inputs${report.data_name ? ` of ${report.data_name}` : ""}`;
$("#subtitle").textContent = [tested, report.created && new Date(report.created).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" })].filter(Boolean).join(" · ");
const notes = [sentence && note("warn", `<p>${escape(sentence)} The download stays.</p>`), ...(report.notes ?? []).map((text) => note("", `<p>${escape(text)}</p>`)), report.stopped_by && note("warn", `<p>${stoppedText(report.stopped_by)}</p>`)];
const shownNotes = notes.filter(Boolean).join("");
if (shownNotes) $("#result-note").innerHTML = `<div class="stack close">${shownNotes}</div>`;
$("#print").addEventListener("click", () => window.print());

/* ----- gauges and the table ----- */
$("#gauges").innerHTML = gauges(report, bestLog2).map(([title, score, detail]) => gauge(title, score, detail)).join("");
const weights = report.goals ?? {};
const total = Object.values(weights).reduce((sum, value) => sum + value, 0) || 1;
$("#gauge-note").textContent = `Score = share of the best this search found for that goal; for accuracy, 5 points lost count as nothing kept. 0–49 low, 50–89 fair, 90–100 high. Weights: ${GOALS.filter((goal) => goal in weights).map((goal) => [goal, weights[goal]]).map(([goal, value]) => `${goal} ${Math.round((100 * value) / total)} %`).join(", ")}.`;

const limitCell = (limit) => {
  if (!limit) return '<span class="muted">none set</span>';
  const [look, icon] = STATE_LOOK[limit.state];
  return `<span class="limit-cell ${look}">${icon ? ICONS[icon] : ""}${escape(limit.text)}, ${limit.state}</span>`;
};
$("#headline tbody").innerHTML = headlineRows(report).map((row) => `<tr><td class="full strong">${escape(row.goal)}</td><td class="n muted" data-label="Original">${row.before}</td><td class="n"><span class="bignum">${row.after}</span></td>
  <td class="n full"><span class="change-cell"><span class="${row.tone}">${ICONS[row.way] ?? ""}</span>${row.change}</span>${row.note ? `<br><span class="tiny muted">${row.note}</span>` : ""}</td><td class="full">${badge(row.label, row.evidence)}</td>
  <td class="n muted full" data-label="Predicted before">${row.expected}${row.outside ? '<br><span class="tiny warn">outside our band</span>' : ""}</td><td class="full" data-label="Limit">${limitCell(row.limit)}</td></tr>`).join("");

/* ----- charts ----- */
function showLayers(name) {
  $("#layers").figure = figures[name] ?? null;
  setText($("#layers-title"), name === "layers" ? "Time per layer" : "Parameters per layer");
  setText($("#layers-label"), name === "layers" ? `In the order of the network. ${layerTimesText(report)} Grey: original; colour: the technique.` : "In the order of the network, counted. Grey: original; colour: the technique.");
}
$("#layers").reason = "This report has no numbers per layer.";
showLayers("layers");
segmented($("#layer-metric"), showLayers);
$("#classes").reason = isAgreement(report.result.accuracy_kind) ? "No labels were given, so there are no classes to compare." : "This report has no numbers per class.";
$("#classes").figure = figures.classes ?? null;
$("#layers-card").hidden = !figures.layers && !layers.length;

/* ----- flips ----- */
const MOST_FLIPS = 24;
function showFlips() {
  const { lost = 0, gained = 0, examples = [] } = report.flipped ?? {};
  const pictured = examples.filter((flip) => flip.input);
  const shown = mixedFlips(pictured.length ? pictured : examples, MOST_FLIPS);
  $("#flips-card").hidden = !shown.length;
  setText($("#flips-title"), flipsTitle(report));
  setText($("#flips-count"), flipsCount(report));
  setText($("#flips-note"), pictured.length ? `The ${pictured.length} pictures are examples of the data; report.html and report.json hold them, too.` : "");
  $("#flips").replaceChildren(...shown.map(flipCard));
}
function flipCard(flip) {
  const card = document.createElement("div");
  const { tone, word, label } = flipWords(flip, report);
  card.innerHTML = `<span class="pill ${tone}">${word}</span> <span class="muted">row ${flip.index}</span>${label ? `<br><span class="muted">label</span> ${escape(label)}` : ""}<br>${escape(flip.before)} <span class="muted nowrap">${percent(flip.confidence_before, 0)}</span><br>→ <b>${escape(flip.after)}</b> <span class="muted nowrap">${percent(flip.confidence_after, 0)}</span>`;
  const picture = flip.input && inputPicture(flip.input, `Example ${flip.index}${label ? `, label ${label}` : ""}`);
  if (picture) card.prepend(picture);
  return card;
}
showFlips();

/* ----- recipe ----- */
function showRecipe() {
  $("#recipe thead").innerHTML = layers.length ? `<tr><th>Layer</th><th>Technique</th><th class="n">Parameters</th><th class="n">MACs</th><th class="n">${times.unit}</th><th>Why</th></tr>` : "<tr><th>Layer</th><th>Technique</th><th>Level</th><th>Why</th></tr>";
  showRows();
  const used = layers.length ? layers.map((row) => row.technique) : (report.recipe ?? []).map((step) => step.technique).filter((name) => lookOf(name).scope !== "network");
  $("#tech-legend").innerHTML = legend(used.length ? used : ["keep"], layers.map((row) => row.stored));
  const skipped = (report.skipped ?? []).map((step) => `${step.layer}: ${step.reason.replace(/\.$/, "")}`);
  if (skipped.length) $("#recipe").insertAdjacentHTML("afterend", `<p class="small muted" style="padding:12px 16px">Not applied: ${escape(skipped.join("; "))}.</p>`);
}
/* Those of a deep network come a page at a time; on paper they stand all. */
let fromRow = 0;
const pager = pagerBelow($("#recipe").closest(".table-wrap"), (step) => {
  fromRow += step * PAGE_ROWS;
  showRows();
  $("#recipe").scrollIntoView({ block: "nearest" });
});
function showRows(all = false) {
  const rows = layers.length ? layers : (report.recipe ?? []);
  const shown = all ? rows : rows.slice(fromRow, fromRow + PAGE_ROWS);
  $("#recipe tbody").innerHTML = shown.map(layers.length ? layerRow : stepRow).join("") || '<tr><td colspan="4" class="muted">Nothing was changed: no technique paid within your limits.</td></tr>';
  showPager(pager, { from: fromRow, shown: shown.length, all: rows.length });
}
addEventListener("beforeprint", () => showRows(true));
addEventListener("afterprint", () => showRows());
const paramsText = (params) => Object.entries(params ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "number" ? predicted(value) : value}`).join(", ");
const stepRow = (step) => `<tr><td class="mono full">${step.layer === "*" ? "whole network" : escape(step.layer)}</td><td class="full nowrap">${tile(step.technique)}${escape(titleOf(step.technique))}</td><td>${escape(paramsText(step.params))}</td><td class="full why">${escape(step.why ?? "")}</td></tr>`;
const otherChoices = (row) => [row.undo && undoText(row.undo, times.isMicro), ...(row.alternatives ?? []).map((other) => alternativeText(other, times.isMicro))].filter(Boolean);
const otherwise = (row) => {
  const texts = otherChoices(row);
  return texts.length ? `<details class="tiny muted no-print"><summary>Other choices</summary>${texts.map((text) => `<p>${escape(text)}</p>`).join("")}</details>` : "";
};
const layerRow = (row) => `<tr><td class="full"><span class="mono">${escape(row.layer)}</span></td><td class="full technique"><div>${tile(row.technique, row.stored)}<span>${escape(titleOf(row.technique))} <span class="muted">${escape([row.level, isSmall(row.stored) && row.stored].filter(Boolean).join(", "))}</span></span></div></td>
  <td class="n phone-hide">${beforeAfter(row.params_before, row.params_after, count)}</td><td class="n phone-hide">${beforeAfter(row.macs_before, row.macs_after, count)}</td><td class="n" data-label="${times.unit}">${beforeAfter(row.ms_before, row.ms_after, times.show)}</td><td class="full why">${escape(row.why ?? "")}${otherwise(row)}</td></tr>`;
showRecipe();

/* ----- downloads ----- */
const usual = Object.keys(FILE_USE);
const rank = ({ name, primary }) => (primary ? -1 : usual.includes(name) ? usual.indexOf(name) : usual.length);
const files = [...(job.artifacts ?? [])].sort((a, b) => rank(a) - rank(b));
$("#files tbody").innerHTML = files.map((file) => `<tr><td class="mono full wrap-anywhere">${escape(file.name)}</td><td class="full muted">${escape(FILE_USE[file.name] || formatUse(report.artifacts?.find(({ path }) => path === file.name)) || file.format)}</td><td class="n">${exactBytes(file.size_bytes)}</td>
  <td class="mono muted nowrap"><span title="${file.sha256}">${shortHash(file.sha256)}</span> <button type="button" class="btn quiet mini no-print" data-copy="${file.sha256}" aria-label="Copy SHA-256 of ${escape(file.name)}">Copy</button></td>
  <td class="n full no-print"><a class="btn${file.primary ? " primary" : ""}" href="${escape(file.url)}" download aria-label="Download ${escape(file.name)}">${ICONS.save}Download</a></td></tr>`).join("");
$("#files").addEventListener("click", async ({ target }) => {
  const hash = target.closest("[data-copy]")?.dataset.copy;
  if (!hash) return;
  await copyText(hash);
  target.textContent = "Copied";
  setText($("#spoken"), "SHA-256 copied");
  setTimeout(() => (target.textContent = "Copy"), 1600);
});

const code = report.snippets ?? [];
const showCode = (language) => setText($("#snippet"), codeIn(code, language));
$("#language").innerHTML = languageButtons(code);
showCode(code[0]?.name);
segmented($("#language"), showCode);
$("#snippets").hidden = code.length === 0;

/* ----- how ----- */
const spent = (report.stages ?? []).reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
const versions = report.versions ?? {};
const facts = [
  ["Target", [targetTitle(report), report.target_chip].filter(Boolean).join(", ")],
  ["Target numbers", report.target === "this-host" ? "measured on this host" : `${report.predicted.latency_ms.label}: predicted from public runs${report.target_note ? `. ${report.target_note}` : ""}`],
  ["Measured on", report.host ? `${report.host.processor}, ${report.host.system}` : "this host"],
  ["Runtime", [versions.onnxruntime && `ONNX Runtime ${versions.onnxruntime}`, "CPU, 1 thread, batch 1"].filter(Boolean).join(", ")],
  ["Timing", `paired and interleaved, median of ${report.result.host_latency_ms.rounds ?? 30} rounds, p90 ${predicted(report.result.host_latency_ms.p90)} ms`],
  ["Search", searchText(report.search ?? {})],
  ["Seed", String(report.seed)],
  ["Data hash", report.data_sha256 ? shortHash(report.data_sha256) : "none", "mono"],
  ["Original hash", shortHash(report.model_sha256), "mono"],
  ["Agreement", report.agreement_with_original === undefined ? "" : `${percent(report.agreement_with_original)} of answers equal to the original's`],
  ["Change of accuracy", differenceText(report)],
  ["Time to compress", spent ? duration(spent) : ""],
  ["Versions", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")],
].filter(([, text]) => text);

const half = Math.ceil(facts.length / 2);
const list = (rows) => `<dl class="kv">${rows.map(([term, text, look = ""]) => `<dt>${term}</dt><dd class="${look}">${escape(text)}</dd>`).join("")}</dl>`;
$("#how").innerHTML = list(facts.slice(0, half)) + list(facts.slice(half));

if ($("#share-card")) new ShareCard(job.id, (text) => setText($("#spoken"), text));
$("#downloads").hidden = files.length === 0 && code.length === 0;
wireChartButtons(job.project?.name ?? "result");
