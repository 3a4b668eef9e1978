// The applicability map: a row per layer, a column per technique; the line below says why or why not.
// One stop for the Tab key, arrow keys inside.
import { $, $$, escape, setText } from "../lib/dom.js";
import { columnsOf, fitSummary, fitWords, wholeNetworkText } from "../lib/fit.js";
import { lookOf, tile } from "../lib/techniques.js";

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export class FitMap {
  constructor(card) {
    Object.assign(this, { card, table: $("table", card), words: $("[role=status]", card), summary: $("summary span", card) });
    this.table.addEventListener("pointerover", (event) => this.tell(event.target.closest("[data-words]")));
    this.table.addEventListener("focusin", (event) => this.tell(event.target.closest("[data-words]")));
    this.table.addEventListener("keydown", (event) => this.key(event));
    // A deep network has twenty thousand cells: they are made when somebody looks.
    $("details", card).addEventListener("toggle", () => this.fill());
  }

  /** layers: {name, kind, text, applicable: {technique: true | reason}}; techniques: looks by name. */
  show(layers, techniques) {
    const columns = columnsOf(techniques);
    this.card.hidden = !layers.length || !columns.length;
    setText(this.summary, `${fitSummary(layers, columns)} ${wholeNetworkText(techniques)}`.trim());
    $("thead", this.table).innerHTML = `<tr><th scope="col">Layer</th>${columns.map((name) => `<th scope="col" title="${escape(lookOf(name).title)}">${tile(name)}<span class="sr">${escape(lookOf(name).title)}</span></th>`).join("")}</tr>`;
    this.pending = () => layers.map((layer) => this.row(layer, columns)).join("");
    this.fill();
  }

  fill() {
    if (!this.pending || !$("details", this.card).open) return;
    $("tbody", this.table).innerHTML = this.pending();
    this.pending = null;
    $("td", this.table)?.setAttribute("tabindex", "0");
  }

  row(layer, columns) {
    const cells = columns.map((name) => {
      const fits = layer.applicable?.[name];
      const words = escape(fitWords(layer.name, lookOf(name).title, fits));
      return `<td tabindex="-1" class="${fits === true ? "yes" : "no"}" data-words="${words}" aria-label="${words}"><span aria-hidden="true">${fits === true ? "●" : "·"}</span></td>`;
    });
    return `<tr><th scope="row" class="mono" title="${escape(layer.text ?? "")}">${escape(layer.name)}</th>${cells.join("")}</tr>`;
  }

  tell(cell) {
    if (cell) setText(this.words, cell.dataset.words);
  }

  key(event) {
    const step = STEPS[event.key];
    const cell = event.target.closest("td");
    if (!step || !cell) return;
    event.preventDefault();
    const rows = $$("tbody tr", this.table);
    const row = rows[rows.indexOf(cell.parentElement) + step[0]];
    const next = row?.cells[cell.cellIndex + step[1]];
    if (next?.tagName !== "TD") return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
