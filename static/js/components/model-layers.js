// The layers of a model as it came: cost, share of the time, and, opened, what fits each and why the rest does not.
import { $, escape, saveFile, setText } from "../lib/dom.js";
import { toCsv } from "../lib/csv.js";
import { columnsOf } from "../lib/fit.js";
import { count, layerTimes } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { fitText, hasOwnRow, sorted, totalMs } from "../lib/model-layers.js";
import { lookOf, tile } from "../lib/techniques.js";
import { PAGE_ROWS, pagerBelow, showPager } from "./pager.js";
import { pressed } from "./sorting.js";

export class ModelLayers {
  /** layers: as webapp/projects/model.py sends them; techniques: looks by name. */
  constructor(table, layers, techniques) {
    const rows = layers.map((layer, order) => ({ ...layer, order })).filter(hasOwnRow);
    const total = totalMs(rows);
    Object.assign(this, { table, rows, total, names: columnsOf(techniques), times: layerTimes(total), sort: { key: "order", down: false }, open: null, from: 0 });
    this.body = $("tbody", table);
    setText($('[data-sort="ms"]', table), this.times.unit);
    this.pager = pagerBelow(table.closest(".table-wrap"), (step) => this.turn(step));
    $("thead", table).addEventListener("click", (event) => this.sortBy(event.target.closest("button")));
    this.body.addEventListener("click", (event) => this.clicked(event.target.closest("[data-open]")));
    this.render();
  }

  render() {
    const held = this.body.contains(document.activeElement) ? document.activeElement.dataset.open : null;
    const rows = sorted(this.rows, this.sort.key, this.sort.down);
    const shown = rows.slice(this.from, this.from + PAGE_ROWS);
    showPager(this.pager, { from: this.from, shown: shown.length, all: rows.length });
    this.body.innerHTML = shown.map((row) => this.row(row) + (row.name === this.open ? this.details(row) : "")).join("");
    if (held) this.body.querySelector(`[data-open="${CSS.escape(held)}"]`)?.focus();
  }

  row(row) {
    const name = escape(row.name);
    const known = row.ms !== null && this.total > 0;
    const share = known ? (100 * row.ms) / this.total : 0;
    const bar = known ? `<span class="time-share"><span class="bar" style="--done:${share.toFixed(1)}%"><i></i></span><span>${share < 1 && share > 0 ? "under 1" : Math.round(share)} %</span></span>` : '<span class="muted">–</span>';
    const on = row.name === this.open;
    return `<tr><td class="full"><span class="mono">${name}</span><br><span class="tiny muted">${escape(row.text)}${row.reads.length > 1 ? `, reads ${row.reads.map(escape).join(" and ")}` : ""}</span></td>
      <td class="mono small phone-hide">${row.shape.join(" × ")}</td>
      <td class="n" data-label="Parameters">${row.params ? count(row.params) : "–"}</td><td class="n" data-label="Multiply–adds">${row.macs ? count(row.macs) : "–"}</td>
      <td class="n" data-label="Time">${row.ms === null ? "–" : `${this.times.show(row.ms)}<span class="phone-only"> ${this.times.unit}</span>`}</td><td class="phone-hide">${bar}</td>
      <td class="nowrap"><button type="button" class="btn quiet mini" data-open="${name}" aria-expanded="${on}" aria-label="Techniques for ${name}: ${fitText(row, this.names)}">${fitText(row, this.names)} ${ICONS.more}</button></td></tr>`;
  }

  details(row) {
    const options = this.names.map((name) => {
      const { title, note } = lookOf(name);
      const fits = row.applicable?.[name];
      const words = fits === true ? `<b>Fits.</b>${note ? ` <span class="muted">${escape(note)}</span>` : ""}` : `<span class="muted">Not here: ${escape(fits || "not offered.")}</span>`;
      return `<li>${tile(name)}<span>${escape(title)}</span><span>${words}</span></li>`;
    });
    const whole = row.untouched ? `<p class="small">No technique looks at this layer: ${escape(row.untouched)}</p>` : `<ul class="options">${options.join("")}</ul>`;
    return `<tr class="detail-row"><td colspan="7" class="full">${whole}</td></tr>`;
  }

  clicked(button) {
    if (!button) return;
    this.open = this.open === button.dataset.open ? null : button.dataset.open;
    this.render();
  }

  sortBy(button) {
    if (!button) return;
    this.sort = pressed(button, this.table, this.sort);
    this.from = 0;
    this.render();
  }

  turn(step) {
    this.from += step * PAGE_ROWS;
    this.render();
    this.table.scrollIntoView({ block: "nearest" });
  }

  /** All rows as a file; of techniques the names of those that fit. */
  save(name) {
    const columns = ["Layer", "What", "Output", "Parameters", "Multiply-adds", "ms", "Techniques that fit"];
    const fits = (row) => this.names.filter((each) => row.applicable?.[each] === true).map((each) => lookOf(each).title).join("; ");
    const rows = this.rows.map((row) => [row.name, row.text, row.shape.join("x"), row.params, row.macs, row.ms, fits(row)]);
    saveFile(`${name}-layers.csv`, toCsv({ columns, rows }), "text/csv");
  }
}
