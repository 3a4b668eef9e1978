// The buttons beside every chart: its numbers as table, CSV and JSON, itself as SVG and PNG.
import { $$, saveFile } from "./dom.js";
import { figureTable, toCsv, toJson } from "./csv.js";

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
