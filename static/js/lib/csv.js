// A chart's numbers as a table, from the figure itself, so that picture and table cannot differ.

const title = (axis, fallback) => axis?.title?.text ?? axis?.title ?? fallback;

/** Rows of {series, x, y} for every named trace, with the axis titles as column names. */
export function figureTable(figure) {
  const layout = figure.layout ?? {};
  const columns = ["Series", title(layout.xaxis, "x"), title(layout.yaxis, "y")];
  const rows = (figure.data ?? [])
    .filter((trace) => !trace.meta?.decoration)
    .flatMap((trace) => (trace.x ?? []).map((x, i) => [trace.name ?? "", x, trace.y?.[i]]))
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
