// The Table, CSV and JSON buttons beside every chart.
import { $$, saveText } from "./dom.js";
import { figureTable, toCsv, toJson } from "./csv.js";

const FILES = {
  csv: ["text/csv", (figure) => toCsv(figureTable(figure))],
  json: ["application/json", toJson],
};

/** Wires [data-chart-table], [data-chart-csv] and [data-chart-json] to the chart with that id. */
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
      button.addEventListener("click", () => {
        const { figure } = document.getElementById(id);
        if (figure) saveText(`${name}-${id}.${format}`, write(figure), type);
      });
    }
  }
}
