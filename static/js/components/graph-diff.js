// Two networks side by side: a row a layer in the order of the network, matched layers beside each other,
// coloured by technique; lines at the edge lead past other rows. Only the rows in sight are in the page, so
// that a thousand layers stay smooth. Runs that are the same in both are folded. With the attribute "single" it
// is one network, A.
import { foldedRows, lanesOf } from "../lib/compare.js";
import { escape } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { fillOf, isSmall, isStacked, lettersOf, titleOf } from "../lib/techniques.js";
import { sentence } from "../lib/why.js";

const ROW_PX = 40;
const LANE_PX = 6;
const BEYOND = 12; // rows above and below those in sight
const SIDES = ["a", "b"];

class GraphDiff extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.single = this.hasAttribute("single");
    this.innerHTML = `<div class="graph-head" aria-hidden="true"${this.single ? " hidden" : ""}><span class="ab a">A</span><span class="ab b">B</span></div>
      <div class="graph-scroll" role="listbox" tabindex="0" aria-label="Layers of ${this.single ? "the network" : "both networks"}, in order"><div class="graph-rows"></div></div>
      <div class="graph-detail" aria-live="polite"></div>`;
    this.list = this.querySelector(".graph-scroll");
    this.rows = this.querySelector(".graph-rows");
    this.detail = this.querySelector(".graph-detail");
    this.open = new Set();
    this.at = 0;
    this.list.addEventListener("scroll", () => this.paint());
    this.list.addEventListener("click", (event) => this.pick(event.target.closest("[data-row]")));
    this.list.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.paint()).observe(this.list);
  }

  /** {a, b, pairs, times}: the layers of both, how they are matched, how their times are written. */
  set networks(networks) {
    this.shown = networks;
    this.fold();
  }

  /** Whether every layer that is the same in both is folded. */
  set strict(on) {
    this.isStrict = on;
    this.open.clear();
    this.fold();
  }

  fold() {
    const { pairs, a, b } = this.shown;
    this.items = foldedRows(pairs, { open: this.open, strict: this.isStrict });
    this.lanes = { a: this.lanesFor("a", a), b: this.lanesFor("b", b) };
    const lanes = Math.max(0, ...SIDES.flatMap((side) => this.lanes[side].past.map((edge) => edge.lane + 1)));
    this.style.setProperty("--gutter", `${12 + LANE_PX * lanes}px`);
    this.rows.style.height = `${ROW_PX * this.items.length}px`;
    this.at = Math.min(this.at, this.items.length - 1);
    this.painted = null;
    this.paint();
    this.tell();
  }

  /* What each row reads, with a fold standing for all of its layers: from the row above, or past others. */
  lanesFor(side, layers) {
    const rowOf = new Map();
    this.items.forEach(({ pair, fold, from }, row) => {
      for (let i = pair ?? from; i < (pair ?? from) + (fold ?? 1); i += 1) {
        const layer = layers[this.shown.pairs[i][side]];
        if (layer) rowOf.set(layer.layer, row);
      }
    });
    const reads = this.items.map(() => new Set());
    layers.forEach((layer, i) => {
      const row = rowOf.get(layer.layer);
      const sources = layer.reads ?? [layers[i - 1]?.layer];
      for (const source of sources) {
        const from = rowOf.get(source);
        if (from !== undefined && from !== row) reads[row].add(from);
      }
    });
    const straight = new Set(reads.flatMap((set, row) => (set.has(row - 1) ? [row] : [])));
    return { straight, past: lanesOf(reads.map((set) => [...set])) };
  }

  /* Only when the window has moved past what is painted. */
  paint() {
    if (!this.items) return;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW_PX) - BEYOND);
    const last = Math.min(this.items.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW_PX) + BEYOND);
    const key = `${first}-${last}`;
    if (this.painted === key) return;
    this.painted = key;
    const rows = this.items.slice(first, last).map((item, i) => this.row(item, first + i));
    const sides = this.single ? ["a"] : SIDES;
    this.rows.innerHTML = rows.join("") + sides.map((side) => this.lines(side, first, last)).join("");
    this.mark();
  }

  row(item, number) {
    const place = `id="graph-row-${number}" data-row="${number}" role="option" aria-setsize="${this.items.length}" aria-posinset="${number + 1}" style="top:${ROW_PX * number}px"`;
    if (item.fold) return `<div class="graph-row fold" ${place}><span>… ${item.fold} unchanged ${item.fold === 1 ? "layer" : "layers"}</span></div>`;
    const { a, b, same } = this.shown.pairs[item.pair];
    const [first, second] = [this.shown.a[a], this.shown.b[b]];
    if (this.single) return `<div class="graph-row" ${place} aria-label="${escape(`${first.layer}: ${told(first)}`)}">${node(first)}</div>`;
    return `<div class="graph-row${same ? " same" : ""}" ${place}>${node(first)}<span class="graph-sign" aria-hidden="true">${same ? "=" : "≠"}</span>${node(second)}<span class="sr">${escape(spoken(first, second, same))}</span></div>`;
  }

  /* A short stroke to the row above where a layer reads it, and the lanes that cross this window. */
  lines(side, first, last) {
    const { past, straight } = this.lanes[side];
    const paths = past.filter(({ from, to }) => to >= first && from <= last).map(({ from, to, lane }) => {
      const x = 10 + LANE_PX * lane;
      const [top, bottom] = [ROW_PX * (from - first + 0.5), ROW_PX * (to - first + 0.5)];
      return `<path d="M0 ${top}H${x}V${bottom}H0"/>`;
    });
    for (let row = first; row < last; row += 1) if (straight.has(row)) paths.push(`<path d="M-16 ${ROW_PX * (row - first - 0.5)}v${ROW_PX}"/>`);
    const height = ROW_PX * (last - first);
    return `<svg class="graph-lines ${side}" style="top:${ROW_PX * first}px" height="${height}" aria-hidden="true">${paths.join("")}</svg>`;
  }

  pick(node) {
    if (!node) return;
    this.at = Number(node.dataset.row);
    this.act();
  }

  /* A fold opens; a layer tells itself. */
  act() {
    const item = this.items[this.at];
    if (item?.fold) {
      this.open.add(item.from);
      this.fold();
    } else this.tell();
    this.mark();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.list.clientHeight / ROW_PX) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.items.length, End: this.items.length };
    if (event.key === "Enter" || event.key === " ") this.act();
    else if (event.key in steps) this.move(steps[event.key]);
    else return;
    event.preventDefault();
  }

  move(step) {
    this.at = Math.min(this.items.length - 1, Math.max(0, this.at + step));
    const top = ROW_PX * this.at;
    const { scrollTop, clientHeight } = this.list;
    if (top < scrollTop) this.list.scrollTop = top;
    if (top + ROW_PX > scrollTop + clientHeight) this.list.scrollTop = top + ROW_PX - clientHeight;
    this.paint();
    this.mark();
    this.tell();
  }

  mark() {
    this.list.setAttribute("aria-activedescendant", `graph-row-${this.at}`);
    for (const row of this.rows.querySelectorAll("[data-row]")) row.setAttribute("aria-selected", String(Number(row.dataset.row) === this.at));
  }

  tell() {
    const item = this.items[this.at];
    if (!item || item.fold) {
      this.detail.innerHTML = '<p class="small muted">Choose a layer to see what each side makes of it; open a fold to see what is in it.</p>';
      return;
    }
    const { a, b } = this.shown.pairs[item.pair];
    const sides = [this.shown.a[a], ...(this.single ? [] : [this.shown.b[b]])];
    this.detail.innerHTML = detail(sides, this.shown.times);
  }
}
customElements.define("graph-diff", GraphDiff);

const isGone = (layer) => layer.params_after === 0 && layer.macs_after === 0 && layer.macs_before > 0;

function node(layer) {
  if (!layer) return '<span class="graph-node none"></span>';
  const classes = ["graph-node", isSmall(layer.stored) && "small-weights", isStacked(layer.technique) && "two", isGone(layer) && "gone", layer.technique === "keep" && "keep"].filter(Boolean).join(" ");
  const letters = layer.plain ? "" : `<b>${escape(lettersOf(layer.technique).join(" "))}</b>`;
  return `<span class="${classes}" style="${fillOf(layer.technique)}">${letters}<span class="graph-name">${escape(layer.layer)}</span><small>${escape(layer.level)}</small></span>`;
}

const told = (layer) => (layer?.plain ? layer.text : layer ? [titleOf(layer.technique), layer.level, isSmall(layer.stored) && layer.stored].filter(Boolean).join(", ") : "no such layer");
const spoken = (a, b, same) => `${(a ?? b).layer}: ${same ? `both ${told(a)}` : `A ${told(a)}; B ${told(b)}`}`;

const change = (layer, name, show) => (layer?.[`${name}_before`] === undefined ? "–" : layer[`${name}_before`] === layer[`${name}_after`] ? show(layer[`${name}_after`]) : `${show(layer[`${name}_before`])} → ${show(layer[`${name}_after`])}`);

/* The layer in one network or both: what, shape, numbers before and after; of a plain one what fits it instead. */
function detail(sides, { show, unit }) {
  const layer = sides[0] ?? sides[1];
  const both = sides.length > 1;
  const facts = [layer.text, layer.shape?.length && `output ${layer.shape.join(" × ")}`, layer.reads?.length && `reads ${layer.reads.join(", ")}`].filter(Boolean).join(" · ");
  const [made, why] = layer.plain ? [[], [["Techniques that fit", (side) => side.fits]]] : [[["Technique", told]], [["Why", (side) => (side?.why ? sentence(side.why) : "–")]]];
  const rows = [
    ...made,
    ["Time, predicted", (side) => change(side, "ms", (ms) => `${show(ms)} ${unit}`)],
    ["Parameters", (side) => change(side, "params", count)],
    ["Multiply–adds", (side) => change(side, "macs", count)],
    ...why,
  ];
  const body = rows.map(([title, write]) => `<tr><th scope="row">${title}</th>${sides.map((side) => `<td>${escape(write(side))}</td>`).join("")}</tr>`).join("");
  const head = both ? '<thead><tr><th><span class="sr">Fact</span></th><th>A</th><th>B</th></tr></thead>' : "";
  return `<h3 class="mono">${escape(layer.layer)}</h3><p class="small muted">${escape(facts)}</p><div class="table-wrap"><table><caption class="sr">Layer ${escape(layer.layer)}${both ? " in both networks" : ""}</caption>${head}<tbody>${body}</tbody></table></div>`;
}
