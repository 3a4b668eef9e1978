// The heat map of devices: asked for by a button, since it prices every known recipe on each of them.
import { wireTableButtons } from "../lib/chart-buttons.js";
import { $, escape, setText } from "../lib/dom.js";
import { FAMILIES, bandText } from "../lib/evidence.js";
import { predicted } from "../lib/format.js";
import { cellsOf, fitNotes } from "../lib/heat.js";
import { badge } from "../lib/markup.js";

const cell = (which) => ({ label, text, warm }) => `<td class="n" data-label="${which}${label}"${warm ? ` style="--warm:${Math.round(warm * 100)}%"` : ""}>${text}</td>`;
const fitNote = ({ text, fits }) => `<br><span class="${fits ? "good" : "bad"} small">${escape(text)}</span>`;
const TIE = '<td colspan="5" class="full muted small">tie: the best known recipe here cannot be told apart from this one</td>';

export class DeviceComparison {
  /** request() resolves to {devices: [...], table}, see webapp/projects/devices.py; name: of its files. */
  constructor(card, name, request) {
    Object.assign(this, { card, request, button: $("#compare-devices", card), table: $("table", card), words: $("[role=status]", card) });
    this.button.addEventListener("click", () => this.ask());
    wireTableButtons(card, name, () => this.rows);
  }

  set ready(ready) {
    this.button.disabled = !ready;
  }

  async ask() {
    this.button.disabled = true;
    setText(this.words, "Pricing…");
    try {
      const { devices, table } = await this.request();
      this.rows = table;
      this.show(devices);
    } catch (error) {
      setText(this.words, error.message);
    }
    this.button.disabled = false;
  }

  show(devices) {
    const families = [...new Set(devices.map((device) => device.family))];
    $("tbody", this.table).innerHTML = families.map((family) => this.group(family, devices.filter((device) => device.family === family))).join("");
    this.table.hidden = false;
    $(".table-files", this.card).hidden = false;
    setText(this.words, `Times are against the original on the same device. Goals, limits and locks as they are set now; press again after a change.`);
  }

  group(family, devices) {
    return `<tr class="group"><th colspan="11" scope="colgroup">${escape(FAMILIES[family] ?? family)}</th></tr>${devices.map((device) => this.row(device)).join("")}`;
  }

  row(device) {
    const evidence = badge(device.label, [device.label, device.label === "measured" ? "" : bandText(...device.band)].filter(Boolean).join(" "));
    const fit = fitNotes(device).map(fitNote).join("");
    const best = device.tie ? TIE : cellsOf(device.best).map(cell("Best: ")).join("");
    const original = `<br><span class="small muted">original ${predicted(device.original.latency_ms)} ms, ${predicted(device.original.energy_mj)} mJ</span>`;
    return `<tr><th scope="row" class="full"><a href="/devices/${escape(device.name)}/">${escape(device.title)}</a> ${evidence}${original}${fit}</th>${cellsOf(device.recipe).map(cell("")).join("")}${best}</tr>`;
  }
}
