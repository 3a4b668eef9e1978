// Shows a figure from Python in the theme of the page: picture, table or the reason why it is empty.
import { escape } from "../lib/dom.js";
import { figureTable } from "../lib/csv.js";
import { measured } from "../lib/format.js";
import { plotly } from "../lib/plotly.js";
import { readTokens, themed } from "../lib/theme.js";

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset", scrollZoom: false, showTips: false };
const DARK = matchMedia("(prefers-color-scheme: dark)");
const COARSE = matchMedia("(pointer: coarse)");
const TITLE_PX = 28;
const SHARPNESS = { png: 2, svg: 1 };

export class PlotFigure extends HTMLElement {
  connectedCallback() {
    if (this.plot) return;
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    this.plot.setAttribute("role", "img");
    this.append(this.plot);
    DARK.addEventListener("change", () => this.draw());
    plotly().then(() => this.shown && this.draw());
    addEventListener("beforeprint", () => this.draw(true));
    addEventListener("afterprint", () => this.draw());
    new ResizeObserver(([entry]) => this.resized(Math.round(entry.contentRect.width))).observe(this);
  }

  /** A figure, or null while there is nothing to show. */
  set figure(figure) {
    this.shown = figure;
    this.reserve();
    this.draw();
  }

  get figure() {
    return this.shown;
  }

  /** The sentence shown instead of an empty chart. */
  set reason(text) {
    this.why = text;
    if (this.shown) return;
    this.reserve();
    this.draw();
  }

  get height() {
    return Number(this.getAttribute("height")) || 210;
  }

  resized(width) {
    if (!width || width === this.wide) return;
    this.wide = width;
    if (this.shown) this.draw();
  }

  /* The room it will take, from the start: what lies below must not jump. */
  reserve() {
    this.wide ||= Math.round(this.clientWidth);
    this.style.minHeight = `${this.shown?.layout.height ?? this.height}px`;
  }

  draw(printing = false) {
    if (!this.shown) return this.drawReason();
    if (!this.wide || !window.Plotly) return;
    this.querySelector(":scope > .empty")?.remove();
    this.plot.hidden = Boolean(this.asTable);
    const { data, layout } = this.picture(themed(this.shown, readTokens()));
    const size = { width: printing ? Math.min(this.wide, 480) : this.wide, height: layout.height ?? this.height };
    const dragmode = COARSE.matches ? false : "zoom";
    this.plot.setAttribute("aria-label", layout.meta?.summary ?? "Chart");
    this.drawn = window.Plotly.react(this.plot, data, { ...layout, ...size, autosize: false, dragmode }, CONFIG).then(() => this.settled());
    if (this.asTable) this.drawTable();
  }

  /* For the chart that extends this one. */
  picture(figure) {
    return figure;
  }

  settled() {}

  drawReason() {
    if (!this.plot) return;
    if (this.plot.data) window.Plotly?.purge(this.plot);
    this.plot.hidden = true;
    this.querySelector(":scope > .chart-table")?.remove();
    const node = this.querySelector(":scope > .empty") ?? this.appendChild(document.createElement("p"));
    node.className = "empty";
    node.textContent = this.why ?? "Nothing to show yet.";
  }

  /** The chart as it is drawn, under its title on the page's ground: an SVG's text, or a PNG in base64. */
  async image(format) {
    await this.drawn;
    const { data, layout } = this.plot;
    const { surface, ink } = readTokens();
    const title = { text: escape(this.closest("section")?.querySelector("h2")?.innerText ?? ""), font: { size: 15, color: ink }, x: 0, xref: "paper", xanchor: "left", y: 1, yref: "container", yanchor: "top", pad: { t: 10 } };
    const margin = { ...layout.template.layout.margin, ...layout.margin };
    const height = this.plot._fullLayout.height + TITLE_PX;
    const shown = { ...layout, title, paper_bgcolor: surface, height, margin: { ...margin, t: margin.t + TITLE_PX } };
    const { width } = this.plot._fullLayout;
    return window.Plotly.toImage({ data: [...data, ...this.marks()], layout: shown }, { format, width, height, scale: SHARPNESS[format], imageDataOnly: true });
  }

  /* What lies over the chart on the page and belongs into its picture. */
  marks() {
    return [];
  }

  /** The same numbers as a table instead of the picture. */
  set table(on) {
    this.asTable = on;
    this.plot.hidden = on;
    this.querySelector(":scope > .chart-table")?.remove();
    if (on) this.drawTable();
    else this.draw();
  }

  drawTable() {
    if (!this.shown) return;
    const { columns, rows } = figureTable(this.shown);
    const cell = (value) => (typeof value === "number" ? `<td class="n">${Number.isInteger(value) ? value : measured(value)}</td>` : `<td>${escape(value)}</td>`);
    const box = this.querySelector(":scope > .chart-table") ?? this.appendChild(document.createElement("div"));
    box.className = "chart-table";
    box.tabIndex = 0;
    const head = columns.map((column, i) => `<th scope="col"${rows.some((row) => typeof row[i] === "number") ? ' class="n"' : ""}>${escape(column)}</th>`);
    box.innerHTML = `<table><caption class="sr">${escape(this.shown.layout.meta?.summary)}</caption><thead><tr>${head.join("")}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("")}</tbody></table>`;
  }
}
customElements.define("plot-figure", PlotFigure);
