import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { figureTable, tableJson, toCsv, toJson } from "../../static/js/lib/csv.js";
import { paretoFront } from "../../static/js/lib/pareto.js";
import { chartTemplate, merge, themed } from "../../static/js/lib/theme.js";
import { arrange, limitAt, limitMarks, limitPlaces, limitSlider, placeOf } from "../../static/js/lib/tradeoff.js";

const studio = JSON.parse(readFileSync(new URL("fixtures/studio.json", import.meta.url)));
const none = { max_accuracy_drop: null, max_latency_ms: null, max_energy_mj: null, max_size_bytes: null };
const role = (figure, name) => figure.data.find((trace) => trace.meta.role === name);
const tokens = new Proxy({}, { get: (_, name) => (name === "font" ? "sans" : "#123456") });
const view = { axis: "latency", candidates: studio.candidates, budgets: none };

test("a candidate outside says which limit it breaks, and by how much", () => {
  const budgets = { ...none, max_latency_ms: 6 };
  const { figure } = arrange(studio.figure, { ...view, budgets });
  const { customdata, x } = role(figure, "outside");
  const told = Number(customdata[0][1].match(/^<br>outside: latency ([\d.]+) ms, limit 6\.0$/)[1]);
  assert.ok(Math.abs(told / x[0] - 1) < 0.06);
  assert.ok(role(figure, "candidate").customdata.every(([, broken]) => broken === ""));
});

test("accuracy can stand across, and the cost that stood there stands upwards", () => {
  const budgets = { ...none, max_latency_ms: 6, max_accuracy_drop: 1 };
  const { figure: usual } = arrange(studio.figure, { ...view, budgets });
  const { figure, front } = arrange(studio.figure, { ...view, budgets, turned: true });
  assert.deepEqual(role(figure, "front").x, role(usual, "front").y);
  assert.deepEqual(role(figure, "front").y, front.map((candidate) => candidate.latency_ms));
  assert.match(figure.layout.xaxis.title.text, /^Accuracy/);
  assert.equal(figure.layout.yaxis.type, "log");
  const lines = figure.layout.shapes.filter((shape) => shape.name === "limit");
  assert.deepEqual(lines.map(({ xref, yref }) => [xref, yref]).sort(), [["x domain", "y"], ["x", "y domain"]]);
  assert.equal(lines.find((line) => line.yref === "y").y0, 6);
  const words = figure.layout.annotations.find((note) => note.text.includes("ms"));
  assert.deepEqual([words.xref, words.yanchor, Math.round(10 ** words.y)], ["x domain", "bottom", 6]);
  assert.match(figure.layout.meta.summary, /^Latency against accuracy of \d+ candidates/);
  assert.equal(themed(figure, tokens).data.find((trace) => trace.meta.role === "front").line.shape, "vh");
});

test("where there are no labels the summary says agreement", () => {
  const base = structuredClone(studio.figure);
  base.layout.meta.quality = "Agreement";
  assert.match(arrange(base, view).figure.layout.meta.summary, /^Agreement against latency .* has [\d.]+ % agreement\.$/);
});

test("every candidate is drawn once, inside or outside", () => {
  const { figure } = arrange(studio.figure, { ...view, budgets: { ...none, max_latency_ms: 6 } });
  const drawn = role(figure, "candidate").x.length + role(figure, "outside").x.length;
  assert.equal(drawn, studio.candidates.length);
  assert.ok(role(figure, "candidate").x.every((ms) => ms <= 6));
  assert.ok(role(figure, "outside").x.every((ms) => ms > 6));
});

test("what is drawn can be walked by accuracy, whatever its cost", () => {
  const limited = { ...view, budgets: { ...none, max_latency_ms: 6 } };
  const { shown } = arrange(studio.figure, limited);
  assert.equal(shown.length, studio.candidates.length);
  assert.ok(shown.every((candidate, i) => i === 0 || candidate.drop_points <= shown[i - 1].drop_points));
  assert.ok(arrange(studio.figure, { ...limited, onlyWithin: true }).shown.every((candidate) => candidate.latency_ms <= 6));
});

test("only those within limits remain when asked", () => {
  const { figure } = arrange(studio.figure, { ...view, budgets: { ...none, max_latency_ms: 6 }, onlyWithin: true });
  assert.equal(role(figure, "outside").x.length, 0);
});

test("another axis takes its numbers, range and title from Python", () => {
  const { figure } = arrange(studio.figure, { ...view, axis: "size" });
  assert.match(figure.layout.xaxis.title.text, /^Size, MB/);
  const total = role(figure, "candidate").x.reduce((sum, mb) => sum + mb, 0);
  const expected = studio.candidates.reduce((sum, c) => sum + c.size_bytes / 1e6, 0);
  assert.ok(Math.abs(total - expected) < 1e-2);
});

test("the front is ordered and nothing beats it", () => {
  const front = paretoFront(studio.candidates, "latency_ms");
  for (let i = 1; i < front.length; i += 1) {
    assert.ok(front[i].latency_ms >= front[i - 1].latency_ms);
    assert.ok(front[i].drop_points < front[i - 1].drop_points);
  }
  const beaten = front.some((f) => studio.candidates.some((c) => c.latency_ms < f.latency_ms && c.drop_points < f.drop_points));
  assert.equal(beaten, false);
});

test("the figure from Python is not touched", () => {
  const before = JSON.stringify(studio.figure);
  arrange(studio.figure, { ...view, budgets: { ...none, max_accuracy_drop: 1 }, picked: 3 });
  assert.equal(JSON.stringify(studio.figure), before);
});

test("a limit off the left edge is drawn at the edge and says so", () => {
  const spec = studio.figure.layout.meta.axes.latency;
  const { annotations } = limitMarks(studio.figure.layout, spec, { ...none, max_latency_ms: 0.01 });
  assert.match(annotations[0].text, /^← limit/);
  assert.ok(Math.abs(annotations[0].x - spec.range[0]) < 1e-9);
});

test("a limit beyond the right edge is not drawn", () => {
  const spec = studio.figure.layout.meta.axes.latency;
  assert.deepEqual(limitMarks(studio.figure.layout, spec, { ...none, max_latency_ms: 1e6 }).shapes, []);
});

test("a limit stands where its line is drawn, and means the same when it is let go there", () => {
  const { layout } = studio.figure;
  const spec = layout.meta.axes.size;
  const mb = Number((10 ** ((spec.range[0] + spec.range[1]) / 2)).toPrecision(2));
  const budgets = { ...none, max_accuracy_drop: 1.2, max_size_bytes: mb / spec.scale };
  const places = limitPlaces(layout, spec, budgets);
  assert.ok(Math.abs(10 ** places.x - mb) < 1e-9);
  const size = limitAt("x", places.x, layout, spec);
  assert.deepEqual([size.budget, Math.round(size.value)], ["max_size_bytes", Math.round(mb / spec.scale)]);
  assert.equal(placeOf("x", mb, layout), places.x);
  const drop = limitAt("y", places.y, layout, spec);
  assert.deepEqual([drop.budget, drop.value], ["max_accuracy_drop", 1.2]);
  assert.equal(placeOf("y", 1.2, layout), places.y);
});

test("only limits in sight can be taken hold of", () => {
  const { layout } = studio.figure;
  const spec = layout.meta.axes.latency;
  assert.deepEqual(limitPlaces(layout, spec, none), {});
  assert.deepEqual(limitPlaces(layout, spec, { ...none, max_latency_ms: 1e6, max_accuracy_drop: 90 }), {});
  assert.equal(limitPlaces(layout, spec, { ...none, max_latency_ms: 1e-6 }).x, spec.range[0]);
});

test("a limit at the ends of its slider is in sight", () => {
  const { layout } = studio.figure;
  for (const [name, spec] of Object.entries(layout.meta.axes)) {
    for (const side of ["x", "y"]) {
      const { budget, label, min, max } = limitSlider(side, layout, spec);
      assert.ok(min < max, label);
      for (const shown of [min, max]) {
        const value = side === "x" ? shown / spec.scale : shown;
        assert.ok(side in limitPlaces(layout, spec, { ...none, [budget]: value }), `${name} ${label} ${shown}`);
        assert.equal(limitAt(side, placeOf(side, shown, layout), layout, spec).value, value);
      }
    }
  }
  assert.deepEqual([limitSlider("x", layout, layout.meta.axes.size).label, limitSlider("y", layout, layout.meta.axes.size).label], ["Limit on storage, MB", "Limit on accuracy lost, points"]);
});

const banded = studio.candidates.map((candidate) => ({
  ...candidate,
  ends: { drop_points: candidate.validated ? null : [candidate.drop_points - 0.2, candidate.drop_points + 0.4], latency_ms: [candidate.latency_ms / 2, 3 * candidate.latency_ms] },
}));

test("bands of best trade-offs that stand apart are drawn, those of others are in the table", () => {
  const { figure, front } = arrange(studio.figure, { ...view, candidates: banded });
  const { error_x: across, error_y: upwards, x } = role(figure, "front");
  const drawn = x.map((_, i) => i).filter((i) => across.array[i] > 0);
  assert.ok(drawn.includes(0) && drawn.length > 2 && drawn.length <= 6 && drawn.length < front.length);
  assert.ok(drawn.every((i) => Math.abs(across.array[i] - 2 * x[i]) < 1e-9 && Math.abs(across.arrayminus[i] - x[i] / 2) < 1e-9));
  assert.deepEqual(drawn.map((i) => upwards.array[i] > 0), drawn.map((i) => !front[i].validated));
  assert.ok(!("error_x" in role(figure, "candidate")) && !("error_x" in role(arrange(studio.figure, view).figure, "front")));
  const { columns, rows } = figureTable(figure);
  assert.deepEqual(columns.slice(3), ["Latency low, ms", "Latency high, ms", "Accuracy low, %", "Accuracy high, %"]);
  const predicted = rows.filter((row) => row[0] === "Candidate" && row[5] !== null);
  assert.ok(predicted.length > 10);
  assert.ok(predicted.every(([, ms, percent, least, most, worst, best]) => least < ms && ms < most && worst < percent && percent < best));
  assert.deepEqual(rows.find((row) => row[0] === "Original").slice(3), [null, null, null, null]);
});

test("bands turn with the chart", () => {
  const usual = role(arrange(studio.figure, { ...view, candidates: banded }).figure, "front");
  const turned = arrange(studio.figure, { ...view, candidates: banded, turned: true }).figure;
  assert.deepEqual([role(turned, "front").error_x, role(turned, "front").error_y], [usual.error_y, usual.error_x]);
  assert.deepEqual(figureTable(turned).columns.slice(3, 5), ["Accuracy low, %", "Accuracy high, %"]);
});

test("accuracy is never asked to rise by a limit", () => {
  const { layout } = studio.figure;
  assert.equal(limitAt("y", layout.meta.original + 3, layout, layout.meta.axes.latency).value, 0);
});

test("roles get colours of tokens only", () => {
  const { data, layout } = themed(studio.figure, tokens);
  assert.equal(data.find((trace) => trace.meta.role === "front").line.color, "#123456");
  assert.equal(layout.template.layout.font.family, "sans");
  assert.equal(chartTemplate(tokens).layout.xaxis.showgrid, false);
});

test("axis titles become flat notes", () => {
  const texts = themed(studio.figure, tokens).layout.annotations.map((note) => note.text);
  assert.ok(texts.includes("Accuracy, %"));
  assert.ok(texts.some((text) => text.startsWith("Latency, ms")));
});

test("merging keeps what the second does not name", () => {
  assert.deepEqual(merge({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 3 }, d: [2] }), { a: { b: 3, c: 2 }, d: [2] });
});

test("table and CSV hold every point of the chart, not its decoration", () => {
  const figure = { data: [{ name: "A, b", x: [1, 2], y: [3, 4] }, { x: [9], y: [9], meta: { decoration: true } }], layout: { xaxis: { title: { text: "ms" } }, yaxis: { title: { text: "%" } } } };
  assert.deepEqual(figureTable(figure).rows, [["A, b", 1, 3], ["A, b", 2, 4]]);
  assert.equal(toCsv(figureTable(figure)), 'Series,ms,%\n"A, b",1,3\n"A, b",2,4\n');
});

test("a spreadsheet never runs a cell as a formula", () => {
  assert.match(toCsv({ columns: ["a"], rows: [["=1+1"], [-3]] }), /'=1\+1\n-3\n/);
});

test("intervals that are drawn are in the table and the files, too", () => {
  const trace = { name: "Change", x: [-1.5, 0.5], y: ["cat", "dog"], error_x: { array: [1, 2], arrayminus: [0.5, 0.25] } };
  const figure = { data: [trace], layout: { xaxis: { title: { text: "points" } }, yaxis: { title: { text: "" }, type: "category" }, meta: { summary: "Two classes." } } };
  assert.deepEqual(figureTable(figure), { columns: ["Series", "points", "Name", "Low", "High"], rows: [["Change", -1.5, "cat", -2, -0.5], ["Change", 0.5, "dog", 0.25, 2.5]] });
  const told = JSON.parse(toJson(figure));
  assert.equal(told.summary, "Two classes.");
  assert.deepEqual(told.rows[0], { Series: "Change", points: -1.5, Name: "cat", Low: -2, High: -0.5 });
});

test("a chart without numbers is an empty list for programs", () => {
  assert.deepEqual(JSON.parse(toJson({})).rows, []);
});

test("a second axis stands on the right with its unit above it, and the table leaves units to the names", () => {
  const trace = (name, y, more) => ({ name, x: [64], y: [y], meta: {}, ...more });
  const figure = {
    data: [trace("Reward", 0.2), trace("Gap to the best known, %", 40, { meta: { role: "gap" }, yaxis: "y2" })],
    layout: { xaxis: { title: { text: "Episode" } }, yaxis: { title: { text: "Reward" } }, yaxis2: { title: { text: "Gap, %" }, side: "right" } },
  };
  const { data, layout } = themed(figure, tokens);
  const unit = layout.annotations.find((note) => note.text.includes("Gap, %"));
  assert.deepEqual([unit.x, unit.xanchor, unit.text, data[1].line.dash], [1, "right", "┄ Gap, %", "dot"]);
  assert.deepEqual(layout.yaxis2, { title: { text: "" }, side: "right" });
  assert.ok(!("yaxis2" in themed({ data: [], layout: {} }, tokens).layout));
  const { columns, rows } = figureTable(figure);
  assert.deepEqual([columns, rows[1]], [["Series", "Episode", "Value"], ["Gap to the best known, %", 64, 40]]);
});

test("a table is an object a row for programs", () => {
  assert.deepEqual(JSON.parse(tableJson({ columns: ["Device", "Latency, ms"], rows: [["Board", 3], ["Box"]] })), {
    rows: [{ Device: "Board", "Latency, ms": 3 }, { Device: "Box", "Latency, ms": null }],
  });
});
