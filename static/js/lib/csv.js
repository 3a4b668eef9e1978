// A chart's numbers as a table, from the figure itself, so that picture, table and files cannot differ.

const title = (axis, fallback) => axis?.title?.text || (typeof axis?.title === "string" && axis.title) || fallback;

const BANDS = ["error_x", "error_y"];
const bandOf = (trace) => BANDS.find((name) => trace[name]?.array);

/* The ends of the interval that is drawn about a point; a trace without one has none. */
function ends(trace, i) {
  const band = bandOf(trace);
  if (!band) return [null, null];
  const { array, arrayminus = array } = trace[band];
  const value = trace[band.at(-1)][i];
  return [value - arrayminus[i], value + array[i]];
}

/** Rows of {series, x, y} for every named trace, with the axis titles as column names; low and high where intervals are drawn. */
export function figureTable(figure) {
  const layout = figure.layout ?? {};
  const traces = (figure.data ?? []).filter((trace) => !trace.meta?.decoration);
  const hasBand = traces.some(bandOf);
  const y = title(layout.yaxis, layout.yaxis?.type === "category" ? "Name" : "y");
  // Where there are two axes each series says its unit by its name.
  const columns = ["Series", title(layout.xaxis, "x"), layout.yaxis2 ? "Value" : y, ...(hasBand ? ["Low", "High"] : [])];
  const rows = traces
    .flatMap((trace) => (trace.x ?? []).map((x, i) => [trace.name ?? "", x, trace.y?.[i], ...(hasBand ? ends(trace, i) : [])]))
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
