// The recipe row by row: technique, before → after, why, lock and exclude; a row opens to say which
// techniques fit and why the others do not. Emits "lock-change" {layer, lock} and "layer-hover".
import "./help-note.js";
import { $, escape, setText } from "../lib/dom.js";
import { count, layerTimes } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { forbids, lockOf, requires, toggleForbidden, toggleRequired } from "../lib/layer-locks.js";
import { beforeAfter } from "../lib/markup.js";
import { isSmall, lookOf, techniqueHelp, tile, titleOf } from "../lib/techniques.js";
import { alternativeText, undoText } from "../lib/why.js";
import { PAGE_ROWS, pagerBelow, showPager } from "./pager.js";
import { pressed } from "./sorting.js";

const SORT = { order: null, params: "params_after", macs: "macs_after", ms: "ms_after" };

export class LayerTable {
  constructor(table) {
    Object.assign(this, { table, body: $("tbody", table), sort: { key: "order", down: false }, rows: [], sorted: [], locks: {}, open: null, facts: new Map(), from: 0 });
    this.pager = pagerBelow(table.closest(".table-wrap"), (step) => this.turn(step));
    $("thead", table).addEventListener("click", (event) => this.sortBy(event.target.closest("button")));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("pointerover", (event) => this.hover(event.target));
    this.body.addEventListener("focusin", (event) => this.hover(event.target));
  }

  /** layers: {name, text, params, macs, ms, applicable}; techniques: names in order; totalMs: the whole network before. */
  setFacts(layers, techniques, totalMs = null) {
    this.times = layerTimes(totalMs);
    setText($('[data-sort="ms"]', this.table), this.times.unit);
    this.facts = new Map(layers.map((layer, i) => [layer.name, { ...layer, order: i }]));
    this.techniques = techniques;
  }

  /** rows: SELECTION.layers, or tiles while the answer is on its way (numbers then stay out). */
  show(rows, locks) {
    this.rows = rows.filter((row) => this.facts.has(row.layer));
    this.locks = locks;
    this.render();
  }

  render() {
    const held = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const { key, down } = this.sort;
    const value = (row) => (SORT[key] ? (row[SORT[key]] ?? this.facts.get(row.layer)[key]) : this.facts.get(row.layer).order);
    this.sorted = [...this.rows].sort((a, b) => (value(a) - value(b)) * (down ? -1 : 1));
    if (this.from >= this.sorted.length) this.from = 0;
    const rows = this.sorted.slice(this.from, this.from + PAGE_ROWS);
    showPager(this.pager, { from: this.from, shown: rows.length, all: this.sorted.length });
    this.lit = null;
    this.body.innerHTML = rows.map((row) => this.row(row) + (row.layer === this.open ? this.details(row) : "")).join("");
    if (held) this.body.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
  }

  turn(step) {
    this.from += step * PAGE_ROWS;
    this.render();
    this.table.scrollIntoView({ block: "nearest" });
  }

  get showTime() {
    return (ms) => (ms === 0 ? "–" : this.times.show(ms));
  }

  row(row) {
    const fact = this.facts.get(row.layer);
    const name = escape(row.layer);
    const lock = this.locks[row.layer];
    const excluded = lock === "keep";
    const level = [row.level, isSmall(row.stored) && row.stored].filter(Boolean).join(", ");
    const numbers = (quantity, show) => (row[`${quantity}_after`] === undefined ? `<span class="muted">${show(fact[quantity])}</span>` : beforeAfter(row[`${quantity}_before`] ?? fact[quantity], row[`${quantity}_after`], show));
    const press = (kind, on, icon, label) => `<button type="button" class="btn icon quiet" data-action="${kind}" data-key="${kind}:${name}" aria-pressed="${on}" title="${label}" aria-label="${label}: ${name}">${ICONS[icon]}</button>`;
    return `<tr data-layer="${name}"><td class="col-layer"><span class="mono">${name}</span><br><span class="tiny muted">${escape(fact.text ?? "")}</span></td>
      <td class="technique col-technique"><div>${tile(row.technique, row.stored)}<span>${escape(titleOf(row.technique))}<br><span class="tiny muted">${escape(level)}</span></span></div></td>
      <td class="n wide-only">${numbers("params", count)}</td><td class="n wide-only">${numbers("macs", count)}</td><td class="n col-ms">${numbers("ms", this.showTime)}</td>
      <td class="why">${escape(row.why ?? "")}</td>
      <td class="nowrap col-control">${press("lock", Boolean(lock) && !excluded, "lock", "Lock this choice")}${press("exclude", excluded, "ban", "Leave untouched")}${this.opener(row, name)}</td></tr>`;
  }

  opener(row, name) {
    const on = row.layer === this.open;
    return `<button type="button" class="btn icon quiet" data-action="open" data-key="open:${name}" aria-expanded="${on}" aria-label="Techniques for ${name}" title="Techniques for this layer">${ICONS.more}</button>`;
  }

  details(row) {
    const fact = this.facts.get(row.layer);
    const lock = this.locks[row.layer];
    const options = this.offered.map((name) => this.option(row, name, fact.applicable?.[name], lock));
    const free = lock ? `<button type="button" class="btn" style="justify-self:start" data-action="free" data-key="free:${escape(row.layer)}">Let the selector choose</button>` : "";
    const undo = row.undo && undoText(row.undo, this.times.isMicro);
    const prices = `${undo ? `<p class="small muted">${escape(undo)}</p>` : ""}${(row.alternatives ?? []).map((other, i) => this.alternative(row, other, i)).join("")}`;
    return `<tr class="detail-row" data-layer="${escape(row.layer)}"><td colspan="7" class="full"><div class="stack close">${prices}<ul class="options">${options.join("")}</ul>${free}</div></td></tr>`;
  }

  alternative(row, other, i) {
    const layer = escape(row.layer);
    const name = escape(titleOf(other.technique));
    return `<div class="row tight small"><span class="muted">${escape(alternativeText(other, this.times.isMicro))}</span><button type="button" class="btn mini" data-action="take" data-alternative="${i}" data-key="take:${layer}:${i}" aria-label="Take ${name} on ${layer}">Take this</button></div>`;
  }

  /* Techniques that a layer may be asked to take or to leave, not those of the whole network. */
  get offered() {
    return this.techniques.filter((name) => name !== "keep" && lookOf(name).scope !== "network");
  }

  option(row, name, applicable, lock) {
    const { title, note } = lookOf(name);
    const press = (action, on, word) =>
      `<button type="button" class="btn mini" data-action="${action}" data-technique="${name}" data-key="${action}:${escape(row.layer)}:${name}" aria-pressed="${on}" aria-label="${word} ${escape(title)} on ${escape(row.layer)}">${word} here</button>`;
    const actions = applicable === true
      ? `<span class="row tight">${press("use", requires(lock, name), "Require")}${press("forbid", forbids(lock, name), "Forbid")}</span>`
      : `<span class="muted">${escape(typeof applicable === "string" && applicable ? `Not here: ${applicable}` : "Not on this layer")}</span>`;
    const said = note && applicable === true ? `<br><span class="tiny muted">${escape(note)}</span>` : "";
    return `<li>${tile(name)}<span>${escape(title)} ${techniqueHelp(name)}${said}</span>${actions}</li>`;
  }

  sortBy(button) {
    if (!button) return;
    this.sort = pressed(button, this.table, this.sort);
    this.from = 0;
    this.render();
  }

  clicked(event) {
    const button = event.target.closest("[data-action]");
    const layer = event.target.closest("[data-layer]")?.dataset.layer;
    if (!button || !layer) return;
    const { action, technique, alternative } = button.dataset;
    if (action === "open") return this.toggle(layer);
    const current = this.locks[layer];
    const row = this.rows.find((candidate) => candidate.layer === layer);
    const wanted = {
      lock: () => (current && current !== "keep" ? null : lockOf(row)),
      take: () => lockOf(row.alternatives[alternative]),
      exclude: () => (current === "keep" ? null : "keep"),
      free: () => null,
      use: () => toggleRequired(current, technique),
      forbid: () => toggleForbidden(current, technique),
    };
    const lock = wanted[action]();
    this.emit("lock-change", { layer, lock, action });
  }

  /** Opens a layer's details and brings its row into view. */
  toggle(layer, reveal = false) {
    this.open = this.open === layer && !reveal ? null : layer;
    if (reveal) this.from = PAGE_ROWS * Math.floor(Math.max(0, this.sorted.findIndex((row) => row.layer === layer)) / PAGE_ROWS);
    this.render();
    const row = this.rowOf(layer);
    if (reveal && row) {
      row.scrollIntoView({ block: "nearest" });
      row.querySelector('[data-action="open"]').focus();
    }
  }

  rowOf(layer) {
    return this.body.querySelector(`[data-layer="${CSS.escape(layer)}"]`);
  }

  light(name) {
    this.lit?.classList.remove("on");
    this.lit = name ? this.rowOf(name) : null;
    this.lit?.classList.add("on");
  }

  hover(target) {
    const layer = target.closest("[data-layer]")?.dataset.layer;
    if (layer) this.emit("layer-hover", layer);
  }

  emit(type, detail) {
    this.table.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
  }
}
