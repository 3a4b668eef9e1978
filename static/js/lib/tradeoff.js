// The trade-off figure for the limits of the moment. Numbers, axes and texts come from Python in
// layout.meta; here the points are only sorted into inside, outside and best trade-offs.
import { brokenLimits, limitText } from "./limits.js";
import { paretoFront } from "./pareto.js";
import { excess } from "./score.js";

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
    fill(traceOf(base, "front"), front),
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
  return {
    ...trace,
    x: points.map(([i]) => spec.x[i]),
    y: points.map(([i]) => meta.accuracy[i]),
    ids: points.map(([i]) => String(meta.ids[i])),
    customdata: points.map(([i, candidate]) => [`Candidate ${meta.ids[i]}`, brokenLimits(candidate, budgets).map((line) => `<br>outside: ${line}`).join(""), meta.texts[i]]),
  };
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

/** The limit that a place on an axis means, as a person would type it: {budget, value, text}. */
export function limitAt(side, place, layout, spec) {
  if (side === "y") {
    const value = Math.max(0, Math.round(10 * (layout.meta.original - place)) / 10);
    return { budget: "max_accuracy_drop", value, text: `−${value.toFixed(1)} pt` };
  }
  const shown = Number((10 ** place).toPrecision(2));
  return { budget: spec.limit, value: shown / spec.scale, text: `${shown} ${spec.unit}` };
}

export const OTHER = { x: "y", y: "x" };
const TURNED_ANCHOR = { left: "bottom", bottom: "left", right: "top", top: "right" };

/* Accuracy across and the cost upwards: whatever says x says y, and the other way round. */
function turn({ data, layout }) {
  const axes = { xaxis: layout.yaxis, yaxis: layout.xaxis };
  return {
    data: data.map((trace) => ({ ...trace, x: trace.y, y: trace.x, meta: { ...trace.meta, turned: true } })),
    layout: { ...layout, ...axes, shapes: layout.shapes.map(turnedMark), annotations: layout.annotations.map(turnedMark) },
  };
}

function turnedMark(mark) {
  const swapped = (text) => text.replace(/^[xy]/, (side) => OTHER[side]);
  const value = (key, old) => (key.endsWith("ref") ? swapped(old) : key.endsWith("anchor") ? (TURNED_ANCHOR[old] ?? old) : key === "text" ? old.replace("←", "↓") : old);
  const turned = Object.fromEntries(Object.entries(mark).map(([key, old]) => [key === "text" ? key : swapped(key), value(key, old)]));
  return turned.text && turned.yref === "y domain" ? { ...turned, y: 0.5 } : turned; // above, the original has its name
}
