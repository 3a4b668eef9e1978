// The trade-off figure for the limits of the moment. Numbers, axes and texts come from Python in
// layout.meta; here the points are only sorted into inside, outside and best trade-offs.
import { SPOKEN, brokenLimits, limitText } from "./limits.js";
import { paretoFront } from "./pareto.js";
import { excess } from "./score.js";

/* Of the best trade-offs, how many show their bands at the most. */
const MOST_BANDS = 6;

const traceOf = (figure, role) => figure.data.find((trace) => trace.meta?.role === role);

/**
 * A figure with the same look and other points. view: {axis, turned, candidates, budgets, onlyWithin, picked};
 * turned puts accuracy across and the cost upwards. Returns {figure, front, shown}: the best trade-offs, cheapest first,
 * and all candidates that are drawn, least accurate first.
 */
export function arrange(base, { axis, turned = false, candidates, budgets, onlyWithin = false, picked = null }) {
  const { meta } = base.layout;
  const spec = meta.axes[axis];
  const place = new Map(meta.ids.map((id, i) => [id, i]));
  const within = candidates.filter((candidate) => excess(candidate, budgets) === 0);
  const inside = new Set(within);
  const outside = onlyWithin ? [] : candidates.filter((candidate) => !inside.has(candidate));
  const front = paretoFront(within, spec.field);
  const fill = (trace, list) => filled(trace, list.filter((c) => place.has(c.id)).map((c) => [place.get(c.id), c]), meta, spec, budgets);
  const data = [
    fill(traceOf(base, "outside"), outside),
    fill(traceOf(base, "candidate"), within),
    barred(fill(traceOf(base, "front"), front), spec),
    { ...traceOf(base, "original"), x: [spec.original] },
  ];
  if (picked !== null) data.push(fill({ ...traceOf(base, "candidate"), name: "Your pick", meta: { role: "picked", decoration: true } }, candidates.filter((c) => c.id === picked)));
  const figure = { data, layout: layoutFor(base.layout, spec, budgets) };
  figure.layout.meta = { ...meta, summary: summaryText(turned ? [axis, meta.quality.toLowerCase()] : [meta.quality, axis], meta, within.length) };
  const shown = [...within, ...outside].sort((a, b) => b.drop_points - a.drop_points);
  return { figure: turned ? turn(figure) : figure, front, shown };
}

const summaryText = ([up, across], { ids, original, quality }, within) =>
  `${up[0].toUpperCase()}${up.slice(1)} against ${across} of ${ids.length} candidates, ${within} of them within your limits. The original has ${original.toFixed(1)} % ${quality.toLowerCase()}.`;

function filled(trace, points, meta, spec, budgets) {
  const ends = points.map(([, candidate]) => endsOf(candidate, spec, meta.original));
  const hasEnds = ends.some(({ x, y }) => x || y);
  return {
    ...trace,
    ...(hasEnds && { meta: { ...trace.meta, ends: { x: ends.map(({ x }) => x), y: ends.map(({ y }) => y) } } }),
    x: points.map(([i]) => spec.x[i]),
    y: points.map(([i]) => meta.accuracy[i]),
    ids: points.map(([i]) => String(meta.ids[i])),
    customdata: points.map(([i, candidate]) => [`Candidate ${meta.ids[i]}`, brokenLimits(candidate, budgets).map((line) => `<br>outside: ${line}`).join(""), meta.texts[i]]),
  };
}

/** Between which ends 9 in 10 lie, on the axes: {x: [low, high], y: [low, high]}; null where it was measured or nobody says. */
export function endsOf({ ends }, spec, original) {
  const cost = ends?.[spec.field];
  const drop = ends?.drop_points;
  return { x: cost ? cost.map((end) => end * spec.scale) : null, y: drop ? [original - drop[1], original - drop[0]] : null };
}

/* A trace, cheapest first, with bands drawn of some points: those of neighbours would lie upon each other and hide the rest. */
function barred(trace, spec) {
  const { ends } = trace.meta;
  if (!ends) return trace;
  const drawn = apart(trace.x.map(Math.log10), (spec.range[1] - spec.range[0]) / (MOST_BANDS - 1));
  const reach = (side, i, sign) => trace[side].map((value, n) => (ends[side][n] && drawn.has(n) ? Math.max(0, sign * (ends[side][n][i] - value)) : 0));
  const bars = (side) => ({ type: "data", symmetric: false, array: reach(side, 1, 1), arrayminus: reach(side, 0, -1), thickness: 1, width: 0 });
  return { ...trace, error_x: bars("x"), error_y: bars("y") };
}

/* Which of places in a row stand so far apart that none is too near another. */
function apart(places, distance) {
  const chosen = new Set();
  let last = -Infinity;
  places.forEach((place, i) => {
    if (place - last < distance) return;
    chosen.add(i);
    last = place;
  });
  return chosen;
}

function layoutFor(layout, spec, budgets) {
  const { shapes, annotations } = limitMarks(layout, spec, budgets);
  return {
    ...layout,
    xaxis: { ...layout.xaxis, range: [...spec.range], tickvals: spec.tickvals, ticktext: spec.ticktext, title: { text: spec.title } },
    shapes,
    annotations,
  };
}

/** Dashed limits with a faint zone beyond, and their text; a limit off the left edge says so. */
export function limitMarks(layout, spec, budgets) {
  const shapes = [];
  const annotations = [];
  const drop = budgets.max_accuracy_drop ?? null;
  if (drop !== null) {
    const y = layout.meta.original - drop;
    shapes.push({ type: "rect", name: "zone", xref: "x domain", x0: 0, x1: 1, yref: "y", y0: layout.yaxis.range[0] - 100, y1: y });
    shapes.push({ type: "line", name: "limit", xref: "x domain", x0: 0, x1: 1, yref: "y", y0: y, y1: y });
    annotations.push({ name: "limit", text: `limit −${drop.toFixed(1)} pt`, xref: "x domain", x: 1, xanchor: "right", yref: "y", y, yanchor: "top" });
  }
  const limit = budgets[spec.limit] ?? null;
  if (limit !== null && limit > 0) {
    const [low, high] = spec.range;
    const at = Math.log10(limit * spec.scale);
    const x = 10 ** Math.max(low, at);
    if (at < high) {
      shapes.push({ type: "rect", name: "zone", xref: "x", x0: x, x1: 10 ** high, yref: "y domain", y0: 0, y1: 1 });
      shapes.push({ type: "line", name: "limit", xref: "x", x0: x, x1: x, yref: "y domain", y0: 0, y1: 1 });
      annotations.push({ name: "limit", text: `${at < low ? "← " : ""}limit ${limitText(spec.limit, limit)}`, xref: "x", x: Math.log10(x), xanchor: "left", xshift: 4, yref: "y domain", y: 1, yanchor: "top" });
    }
  }
  return { shapes, annotations };
}

/** Where limits are drawn, on the axes' own scales (the logarithm on x): {x, y}, a side without a limit in sight is missing. */
export function limitPlaces(layout, spec, budgets) {
  const places = {};
  const drop = budgets.max_accuracy_drop ?? null;
  const limit = budgets[spec.limit] ?? null;
  if (drop !== null && layout.meta.original - drop > layout.yaxis.range[0]) places.y = layout.meta.original - drop;
  if (limit > 0 && Math.log10(limit * spec.scale) < spec.range[1]) places.x = Math.max(spec.range[0], Math.log10(limit * spec.scale));
  return places;
}

/** The limit that a place on an axis means, as a person would type it: {budget, value}. */
export function limitAt(side, place, layout, spec) {
  if (side === "y") {
    const value = Math.max(0, Math.round(10 * (layout.meta.original - place)) / 10);
    return { budget: "max_accuracy_drop", value };
  }
  const shown = Number((10 ** place).toPrecision(2));
  return { budget: spec.limit, value: shown / spec.scale };
}

/** Where on its axis a limit stands. */
export const placeOf = (side, shown, layout) => (side === "y" ? layout.meta.original - shown : Math.log10(shown));

/** A limit as a slider that stays in sight, in the unit that is shown: {budget, label, step, min, max}. */
export function limitSlider(side, layout, spec) {
  if (side === "y") {
    const max = Math.ceil(10 * (layout.meta.original - layout.yaxis.range[0]) - 1.001) / 10;
    return { budget: "max_accuracy_drop", label: `Limit on ${layout.meta.quality.toLowerCase()} lost, points`, step: 0.1, min: 0, max };
  }
  const [low, high] = spec.range;
  return { budget: spec.limit, label: `Limit on ${SPOKEN[spec.limit]}, ${spec.unit}`, step: "any", min: twoDigits(10 ** low, Math.ceil), max: twoDigits(10 ** high * 0.999, Math.floor) };
}

function twoDigits(value, round) {
  const digit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((round(value / digit) * digit).toPrecision(2));
}

export const OTHER = { x: "y", y: "x" };
const TURNED_ANCHOR = { left: "bottom", bottom: "left", right: "top", top: "right" };

/* Accuracy across and the cost upwards: whatever says x says y, and the other way round. */
function turn({ data, layout }) {
  const axes = { xaxis: layout.yaxis, yaxis: layout.xaxis };
  return {
    data: data.map(turnedTrace),
    layout: { ...layout, ...axes, shapes: layout.shapes.map(turnedMark), annotations: layout.annotations.map(turnedMark) },
  };
}

function turnedTrace({ error_x, error_y, ...trace }) {
  const { ends } = trace.meta;
  const meta = { ...trace.meta, turned: true, ...(ends && { ends: { x: ends.y, y: ends.x } }) };
  return { ...trace, x: trace.y, y: trace.x, meta, ...(error_x && { error_x: error_y, error_y: error_x }) };
}

function turnedMark(mark) {
  const swapped = (text) => text.replace(/^[xy]/, (side) => OTHER[side]);
  const value = (key, old) => (key.endsWith("ref") ? swapped(old) : key.endsWith("anchor") ? (TURNED_ANCHOR[old] ?? old) : key === "text" ? old.replace("←", "↓") : old);
  const turned = Object.fromEntries(Object.entries(mark).map(([key, old]) => [key === "text" ? key : swapped(key), value(key, old)]));
  return turned.text && turned.yref === "y domain" ? { ...turned, y: 0.5 } : turned; // above, the original has its name
}
