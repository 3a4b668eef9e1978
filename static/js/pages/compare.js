// Compare: any two recipes, builds or devices side by side. Choosing another side is another address.
import "../components/help-note.js";
import "../components/graph-diff.js";
import "../components/plot-figure.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { deviceGroups, headlineRows, knownText, msChange, nameOf, partsOfName, recipeGroups } from "../lib/compare.js";
import { toCsv } from "../lib/csv.js";
import { $, $$, escape, pageData, saveFile, setText } from "../lib/dom.js";
import { layerTimes, measured, predicted } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { badge } from "../lib/markup.js";
import { expectedText } from "../lib/reached.js";
import { fillOf, isSmall, isStacked, legend, lettersOf, setTechniques, tile, titleOf } from "../lib/techniques.js";

const MOST_ROWS = 200;
const page = pageData();
const { a, b, pairs, choices, figures } = page;
const SIDES = { a, b };
setTechniques(page.techniques);

/* ----- the two sides ----- */
const option = (value, text, chosen) => `<option value="${escape(value)}"${chosen ? " selected" : ""}>${escape(text)}</option>`;

function groupMarkup({ label, options }, chosen) {
  const body = options.map(([value, text]) => option(value, text, value === chosen)).join("");
  return label === undefined ? body : `<optgroup label="${escape(label)}">${body}</optgroup>`;
}
const groupsMarkup = (groups, chosen) => groups.map((group) => groupMarkup(group, chosen)).join("");

function sideCard([letter, side]) {
  const isBuild = side.kind === "build";
  const upper = letter.toUpperCase();
  return `<section class="card stack close" aria-label="Side ${upper}"><div class="row tight"><span class="ab ${letter}">${upper}</span>
    <select class="select grow" data-recipe="${letter}" aria-label="Recipe or build ${upper}">${groupsMarkup(recipeGroups(side, choices.projects), side.name)}</select>
    <select class="select grow" data-device="${letter}" aria-label="Device ${upper}"${isBuild ? ` disabled title="A build is for its device"` : ""}>${groupsMarkup(deviceGroups(side, choices.devices), side.target.name)}</select></div>
    <p class="small muted"><a href="${escape(side.url)}">${escape(side.title)}</a> of <bdi>${escape(side.project?.name ?? "a deleted project")}</bdi> on ${escape(side.target.inside)}: ${expectedText(side.baseline, side.values)}, ${knownText(side)}</p></section>`;
}
$("#sides").innerHTML = Object.entries(SIDES).map(sideCard).join("");

function show(names) {
  const query = new URLSearchParams({ a: a.name, b: b.name, ...names });
  location.assign(`/compare/?${query}`);
}
$("#sides").addEventListener("change", ({ target }) => {
  const { recipe, device } = target.dataset;
  if (recipe) show({ [recipe]: target.value });
  if (device) show({ [device]: nameOf({ ...partsOfName(SIDES[device].name), device: target.value }) });
});
$("#unlike").hidden = page.is_same_model;

/* ----- headline ----- */
const disc = (who) => `<span class="ab ${who.toLowerCase()}">${who}</span>`;
function headlineRow(row) {
  const verdict = row.who === "A" || row.who === "B" ? `${disc(row.who)} <span class="muted">${row.text}</span>` : `<span class="pill">${row.who}</span> <span class="muted">${row.who === "tie" ? row.text : ""}</span>`;
  const cell = (letter, i) => `<td class="n${row.who === letter ? " strong" : ""}" data-label="${letter}">${row[letter.toLowerCase()]}<br>${badge(row.labels[i], row.evidence[i])}</td>`;
  return `<tr${row.who === "equal" ? ' class="muted"' : ""}><td class="full strong">${escape(row.goal)}</td>${cell("A", 0)}${cell("B", 1)}<td class="full">${verdict}</td></tr>`;
}
function showHeadline(only) {
  const rows = headlineRows(a, b).filter((row) => !only || row.who !== "equal");
  $("#headline tbody").innerHTML = rows.map(headlineRow).join("") || '<tr><td colspan="4" class="muted">Both are equal in every goal.</td></tr>';
}

/* ----- curves ----- */
for (const id of ["tradeoff", "recovery", "learning"]) {
  $(`#${id}-card`).hidden = !figures[id];
  $(`#${id}`).figure = figures[id] ?? null;
}
if (Object.values(figures).filter(Boolean).length === 1) $("#curves").classList.remove("cols-2");
wireChartButtons("compare");

/* ----- layers ----- */
const differ = pairs.filter((pair) => !pair.same).length;
setText($("#different"), `· ${differ} of ${pairs.length} layers differ`);
$("#tech-legend").innerHTML = legend([...a.layers, ...b.layers].map((layer) => layer.technique));
const times = layerTimes(a.baseline.latency_ms, b.baseline.latency_ms);
$("#graphs").networks = { a: a.layers, b: b.layers, pairs, times };
for (const node of $$(".time-unit")) setText(node, times.unit);

function showStrip(letter, side) {
  const total = side.layers.reduce((sum, layer) => sum + (layer.ms_before ?? 0), 0);
  const same = new Set(pairs.filter((pair) => pair.same).map((pair) => pair[letter]));
  $(`#strip-${letter}`).innerHTML = side.layers.map((layer, i) => {
    const share = total ? (100 * layer.ms_before) / total : 1;
    const classes = [isSmall(layer.stored) && "small-weights", isStacked(layer.technique) && "two", same.has(i) && "same"].filter(Boolean).join(" ");
    return `<i class="${classes}" style="${fillOf(layer.technique)};--share:${share.toFixed(3)}">${share > 2.5 ? escape(lettersOf(layer.technique).join(" ")) : ""}</i>`;
  }).join("");
  const { latency_ms: latency } = side.values;
  setText($(`#total-${letter}`), `${(latency.label === "measured" ? measured : predicted)(latency.value)} ms in total, ${latency.label === "measured" ? "measured" : "predicted"}`);
}
showStrip("a", a);
showStrip("b", b);

const technique = (layer) => (layer ? `<div>${tile(layer.technique, layer.stored)}<span>${escape(titleOf(layer.technique))} <span class="muted">${escape([layer.level, isSmall(layer.stored) && layer.stored].filter(Boolean).join(", "))}</span></span></div>` : '<span class="muted">no such layer</span>');
const msAfter = (layer) => layer?.ms_after ?? null;
const ms = (layer) => (msAfter(layer) === null ? "–" : times.show(msAfter(layer)));

function against(x, y) {
  if (msAfter(x) === null || msAfter(y) === null) return "–";
  const change = msChange(x.ms_after, y.ms_after);
  if (change === 0) return '<span class="muted">equal</span>';
  return `<span class="change-cell ${change < 0 ? "good" : "bad"}">${ICONS[change < 0 ? "down" : "up"]}${times.show(Math.abs(change))} ${times.unit}</span>`;
}
function layerRow(pair) {
  const [x, y] = [a.layers[pair.a], b.layers[pair.b]];
  return `<tr class="${pair.same ? "muted" : "differs"}"><td class="full mono">${escape((x ?? y).layer)}</td><td class="full technique" data-label="A">${technique(x)}</td><td class="full technique" data-label="B">${pair.same ? '<span class="muted">same</span>' : technique(y)}</td><td class="n" data-label="${times.unit}, A">${ms(x)}</td><td class="n" data-label="${times.unit}, B">${ms(y)}</td><td class="n full" data-label="B against A">${against(x, y)}</td></tr>`;
}
function showLayers(only) {
  const rows = pairs.filter((pair) => !only || !pair.same);
  $("#layers tbody").innerHTML = rows.slice(0, MOST_ROWS).map(layerRow).join("") || '<tr><td colspan="6" class="muted">Both do the same to every layer.</td></tr>';
  const more = rows.length - MOST_ROWS;
  $("#layers-more").hidden = more <= 0;
  setText($("#layers-more"), `${more} more rows are in the CSV, and in the networks above.`);
}
$("#layers-csv").addEventListener("click", () => {
  const rows = pairs.map((pair) => {
    const [x, y] = [a.layers[pair.a], b.layers[pair.b]];
    return [(x ?? y).layer, ...[x, y].flatMap((layer) => [layer?.technique, layer?.level, layer?.stored, layer?.ms_after])];
  });
  saveFile("compare-layers.csv", toCsv({ columns: ["Layer", ...["A", "B"].flatMap((side) => ["technique", "level", "stored", "ms"].map((name) => `${side} ${name}`))], rows }), "text/csv");
});

/* ----- differences only ----- */
function showAll(only) {
  showHeadline(only);
  showLayers(only);
  $("#graphs").strict = only;
  for (const strip of $$(".diff-strip")) strip.classList.toggle("only", only);
}
$("#only-different").addEventListener("change", ({ target }) => {
  showAll(target.checked);
  setText($("#spoken"), target.checked ? `Only differences: ${differ} layers` : "Everything is shown");
});
showAll($("#only-different").checked);
