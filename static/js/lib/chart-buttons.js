// The Table and CSV buttons beside every chart.
import { $$, saveText } from "./dom.js";
import { figureTable, toCsv } from "./csv.js";

/** Wires [data-chart-table] and [data-chart-csv] to the chart with that id. */
export function wireChartButtons(name) {
  for (const button of $$("[data-chart-table]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.getElementById(button.dataset.chartTable).table = on;
    });
  }
  for (const button of $$("[data-chart-csv]")) {
    button.addEventListener("click", () => {
      const { figure } = document.getElementById(button.dataset.chartCsv);
      if (figure) saveText(`${name}-${button.dataset.chartCsv}.csv`, toCsv(figureTable(figure)), "text/csv");
    });
  }
}
