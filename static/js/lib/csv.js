// A chart's numbers as a table, from the figure itself, so that picture, table and files cannot differ.

const title = (axis, fallback) => axis?.title?.text || (typeof axis?.title === "string" && axis.title) || fallback;

const SIDES = ["x", "y"];

/* The ends of a point's interval on one side: those that came along, or those of the bar that is drawn. */
function ends(trace, side, i) {
  if (trace.meta?.ends) return trace.meta.ends[side][i] ?? [null, null];
  const { array, arrayminus = array } = trace[`error_${side}`] ?? {};
  const value = trace[side][i];
  return array ? [value - arrayminus[i], value + array[i]] : [null, null];
}

const hasEnds = (side) => (trace) => Boolean(trace.meta?.ends ?? trace[`error_${side}`]?.array);

/* "Latency, ms (log) · lower is better" and "low": "Latency low, ms". */
function endColumn(column, word) {
  const [name, ...unit] = column.replace(/ \(log\)| · .*$/g, "").split(", ");
  return [`${name} ${word}`, ...unit].join(", ");
}

const endColumns = (columns) => (columns.length === 1 ? ["Low", "High"] : columns.flatMap((column) => ["low", "high"].map((word) => endColumn(column, word))));

/** Rows of {series, x, y} for every named trace, with the axis titles as column names; the ends of intervals where there are any. */
export function figureTable(figure) {
  const layout = figure.layout ?? {};
  const traces = (figure.data ?? []).filter((trace) => !trace.meta?.decoration);
  const y = title(layout.yaxis, layout.yaxis?.type === "category" ? "Name" : "y");
  // Where there are two axes each series says its unit by its name.
  const names = { x: title(layout.xaxis, "x"), y: layout.yaxis2 ? "Value" : y };
  const sides = SIDES.filter((side) => traces.some(hasEnds(side)));
  const columns = ["Series", names.x, names.y, ...endColumns(sides.map((side) => names[side]))];
  const rows = traces
    .flatMap((trace) => (trace.x ?? []).map((x, i) => [trace.name ?? "", x, trace.y?.[i], ...sides.flatMap((side) => ends(trace, side, i))]))
    .filter((row) => row[1] !== null && row[2] !== null);
  return { columns, rows };
}

const cell = (value) => {
  const text = String(value ?? "");
  // A leading = + - @ would be run as a formula by a spreadsheet, unless it is just a number.
  const safe = /^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** Comma-separated text with a header line. */
export const toCsv = ({ columns, rows }) => [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";

const objects = ({ columns, rows }) => rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i] ?? null])));
const written = (value) => `${JSON.stringify(value, null, 1)}\n`;

/** The same for programs: what the chart shows in a sentence, and an object a row. */
export const toJson = (figure) => written({ summary: figure.layout?.meta?.summary ?? "", rows: objects(figureTable(figure)) });

/** Of a table: an object a row. */
export const tableJson = (table) => written({ rows: objects(table) });
