// The buttons beside every chart: its numbers as table, CSV and JSON, itself as SVG and PNG; and those of a table of devices.
import { $, $$, saveFile } from "./dom.js";
import { figureTable, tableJson, toCsv, toJson } from "./csv.js";

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

const FILES = {
  csv: ["text/csv", ({ figure }) => toCsv(figureTable(figure))],
  json: ["application/json", ({ figure }) => toJson(figure)],
  svg: ["image/svg+xml", (chart) => chart.image("svg")],
  png: ["image/png", async (chart) => bytesOf(await chart.image("png"))],
};

/** Wires [data-chart-table] and [data-chart-csv], -json, -svg, -png to the chart with that id. */
export function wireChartButtons(name) {
  for (const button of $$("[data-chart-table]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.getElementById(button.dataset.chartTable).table = on;
    });
  }
  for (const [format, [type, write]] of Object.entries(FILES)) {
    for (const button of $$(`[data-chart-${format}]`)) {
      const id = button.getAttribute(`data-chart-${format}`);
      button.addEventListener("click", async () => {
        const chart = document.getElementById(id);
        if (chart.figure) saveFile(`${name}-${id}.${format}`, await write(chart), type);
      });
    }
  }
}

/** Wires [data-table-csv] and [data-table-json] within a card; table() tells what is shown: {columns, rows}. */
export function wireTableButtons(card, name, table) {
  $("[data-table-csv]", card).addEventListener("click", () => saveFile(`${name}.csv`, toCsv(table()), "text/csv"));
  $("[data-table-json]", card).addEventListener("click", () => saveFile(`${name}.json`, tableJson(table()), "application/json"));
}
