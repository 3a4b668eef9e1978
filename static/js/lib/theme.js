// Figures come from Python with roles, not colours; here they get the colours of the design tokens.

const NAMES = ["surface", "line", "line-strong", "ink", "ink-2", "ink-3", "accent", "on-accent", "bad", "good", "dot", "dot-out", "font", "mark-bad",
  "tech-ink", "tech-keep", "tech-prune", "tech-svd", "tech-sparse", "tech-depthwise", "tech-fire", "tech-gap", "tech-drop",
  "tech-tucker", "tech-cp",
  "tech-random", "tech-coding", "tech-bases", "tech-mlp",
  "tech-stride", "tech-merge", "tech-blocks"];

/** The tokens that charts use, as plain colours for the current theme. */
export function readTokens(node = document.documentElement) {
  const style = getComputedStyle(node);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const alpha = (hex, share) => hex + Math.round(share * 255).toString(16).padStart(2, "0");

const BAND = 0.35; // of the ink of the points that they belong to

// Role of a trace -> its look. One table, so that no chart has colours of its own.
const ROLES = {
  candidate: (t) => ({ marker: { color: alpha(t.dot, 0.85), size: 7.5, line: { color: t.surface, width: 0.75 } } }),
  outside: (t) => ({ marker: { color: "rgba(0,0,0,0)", size: 7.5, line: { color: t["dot-out"], width: 1.25 } } }),
  front: (t, trace) => ({ line: { color: t["ink-2"], width: 1.5, shape: trace.meta.turned ? "vh" : "hv" }, marker: { color: t["ink-2"], size: 8.5, line: { color: t.surface, width: 0.75 } }, error_x: { color: alpha(t["ink-2"], BAND) }, error_y: { color: alpha(t["ink-2"], BAND) } }),
  original: (t) => ({ marker: { symbol: "diamond", color: t.surface, size: 12, line: { color: t.ink, width: 2 } }, textfont: { color: t.ink, size: 11.5, weight: 600 } }),
  picked: (t) => ({ marker: { color: "rgba(0,0,0,0)", size: 13, line: { color: t.accent, width: 2.5 } } }),
  best: (t) => ({ marker: { symbol: "star", color: t.accent, size: 15, line: { color: t.surface, width: 1.5 } }, error_x: { color: t.accent }, error_y: { color: t.accent } }),
  raw: (t) => ({ line: { color: t["dot-out"], width: 1 } }),
  average: (t) => ({ line: { color: t.accent, width: 2 }, fillcolor: alpha(t.accent, 0.08) }),
  main: (t) => ({ line: { color: t.accent, width: 2 }, marker: { color: t.accent, size: 5 } }),
  gap: (t) => ({ line: { color: t["ink-2"], width: 1.5, dash: "dot" }, marker: { color: t["ink-2"], size: 4 } }),
  end: (t) => ({ marker: { color: t.accent, size: 8 } }),
  rule: (t) => ({ line: { color: t["ink-3"], width: 1.5, dash: "dash" }, textfont: { color: t["ink-3"] } }),
  limit: (t) => ({ line: { color: t.bad, width: 1.2, dash: "dash" }, textfont: { color: t.bad } }),
  "side-a": (t) => ({ textfont: { color: t.accent, size: 11.5, weight: 700 }, line: { color: t.accent, width: 2 }, marker: { color: t.accent, size: 5 } }),
  "side-b": (t) => ({ textfont: { color: t.ink, size: 11.5, weight: 700 }, line: { color: t["ink-2"], width: 2, dash: "dot" }, marker: { color: t["ink-2"], size: 5 } }),
  "disc-a": (t) => ({ marker: { color: t.accent, size: 22, line: { color: t.surface, width: 2 } }, textfont: { color: t["on-accent"], size: 11.5, weight: 700 } }),
  "disc-b": (t) => ({ marker: { color: t.ink, size: 22, line: { color: t.surface, width: 2 } }, textfont: { color: t.surface, size: 11.5, weight: 700 } }),
  before: (t) => ({ marker: { color: t.dot } }),
  after: (t, trace) => ({ marker: { color: (trace.meta.tokens ?? []).map((name) => t[name] || t.accent) } }),
  probe: (t, trace) => ({ marker: { color: t[trace.meta.token] || t.accent, size: 17, line: { color: t.surface, width: 1 } }, textfont: { color: t["tech-ink"], size: 10, weight: 700 } }),
  change: (t, trace) => changeMarks(t, trace.meta.clear ?? []),
};

function changeMarks(t, clear) {
  const sides = clear.map((side) => (side < 0 ? t["mark-bad"] : side > 0 ? t.good : t.surface));
  const edges = clear.map((side) => (side < 0 ? t["mark-bad"] : side > 0 ? t.good : t["ink-3"]));
  return { marker: { color: sides, size: 8, line: { color: edges, width: 1.8 } }, error_x: { color: t["ink-3"], thickness: 1.5, width: 0 } };
}

/* Names instead of numbers stand a little off their bars, in the face that layer names have. */
const named = (axis) => (axis?.type === "category" ? { ...axis, ticks: "outside", ticklen: 6, tickcolor: "rgba(0,0,0,0)" } : axis);

const axis = (t) => ({
  gridcolor: t.line, zeroline: false, linecolor: t["line-strong"], tickcolor: t["line-strong"], automargin: true,
  tickfont: { color: t["ink-3"], size: 11.5 }, title: { font: { size: 11.5, color: t["ink-2"] } },
});

/** The one layout that all charts share, made of tokens. */
export function chartTemplate(t) {
  return {
    layout: {
      font: { family: t.font, size: 11.5, color: t["ink-3"] },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: [t.accent, t["ink-2"], t.dot],
      xaxis: { ...axis(t), showgrid: false, ticks: "outside", ticklen: 4, showline: true },
      yaxis: axis(t), margin: { l: 44, r: 20, t: 26, b: 40 }, showlegend: false, hovermode: "closest",
      hoverlabel: { bgcolor: t.surface, bordercolor: t["line-strong"], font: { color: t.ink, size: 12, family: t.font }, align: "left" },
    },
  };
}

const paintShape = (t) => (shape) =>
  shape.name === "zone"
    ? { ...shape, fillcolor: alpha(t.bad, 0.03), line: { width: 0 }, layer: "below" }
    : { ...shape, line: { ...shape.line, ...(shape.name === "limit" ? { color: t.bad, width: 1.2, dash: "5px,4px" } : { color: t["line-strong"], width: 1 }) } };

const NOTE_INK = { limit: (t) => t.bad, label: (t) => t.ink, value: (t) => t["ink-2"] };

const paintNote = (t) => (note) => ({
  ...note, showarrow: false, bgcolor: alpha(t.surface, 0.75), borderpad: 1,
  font: { size: 11.5, color: NOTE_INK[note.name]?.(t) ?? t["ink-3"] },
});

/** A copy of the figure with the colours of the tokens; the figure from Python stays untouched. */
export function themed(figure, tokens) {
  const data = figure.data.map((trace) => merge(trace, ROLES[trace.meta?.role]?.(tokens, trace) ?? {}));
  const { shapes = [], annotations = [], ...layout } = figure.layout;
  const notes = annotations.map(paintNote(tokens)).concat(axisTitles(layout, tokens));
  const xaxis = { ...layout.xaxis, title: { text: "" } };
  const yaxis = { ...named(layout.yaxis), title: { text: "" } };
  const yaxis2 = layout.yaxis2 && { ...layout.yaxis2, title: { text: "" } };
  return { data, layout: { ...layout, xaxis, yaxis, ...(yaxis2 && { yaxis2 }), template: chartTemplate(tokens), shapes: shapes.map(paintShape(tokens)), annotations: notes } };
}

/* Axis titles lie flat: the unit of y above its axis (of a second one, dotted as its line is, above the right end), x at the right end, as people read them. */
function axisTitles(layout, t) {
  const font = { size: 11.5, color: t["ink-2"], weight: 540 };
  const common = { showarrow: false, font, xref: "paper", yref: "paper" };
  const notes = [];
  const y = layout.yaxis?.title?.text;
  const y2 = layout.yaxis2?.title?.text;
  const x = layout.xaxis?.title?.text;
  if (y) notes.push({ ...common, text: y, x: 0, xanchor: "left", xshift: -44, y: 1, yanchor: "bottom", yshift: 8 });
  if (y2) notes.push({ ...common, text: `┄ ${y2}`, x: 1, xanchor: "right", y: 1, yanchor: "bottom", yshift: 8 });
  if (x) notes.push({ ...common, text: x, x: 1, xanchor: "right", y: 0, yanchor: "top", yshift: -22 });
  return notes;
}

/** Deep merge of plain objects; arrays and values of the second win. */
export function merge(base, extra) {
  const result = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    const both = value && base[key] && typeof value === "object" && typeof base[key] === "object" && !Array.isArray(value) && !Array.isArray(base[key]);
    result[key] = both ? merge(base[key], value) : value;
  }
  return result;
}
