// The model's own graph under the recipe of the moment, drawn once somebody looks.
import "./graph-diff.js";
import { $ } from "../lib/dom.js";
import { layerTimes } from "../lib/format.js";
import { networkRows } from "../lib/network.js";

export class NetworkGraph {
  constructor(card) {
    Object.assign(this, { card, graph: $("graph-diff", card), fold: $("details", card), rows: [] });
    this.fold.addEventListener("toggle", () => this.paint());
  }

  /** all: {name, text, shape, reads, params, macs, ms} of each layer; shown: those that get a row; totalMs: the whole network before. */
  setLayers(all, shown, totalMs) {
    Object.assign(this, { all, shown, times: layerTimes(totalMs) });
    this.card.hidden = !shown.length;
  }

  /** rows: what the recipe makes of each layer. */
  show(rows) {
    this.rows = rows;
    this.paint();
  }

  paint() {
    if (!this.fold.open || !this.shown?.length) return;
    const a = networkRows(this.all, this.shown, this.rows);
    this.graph.networks = { a, b: [], pairs: a.map((_, i) => ({ a: i, same: false })), times: this.times };
  }
}
