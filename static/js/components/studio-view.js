// What the studio shows of a choice: headline numbers, strip, table, legend, note. No requests.
import "./device-picker.js";
import "./recipe-strip.js";
import "./trade-off-chart.js";
import { FitMap } from "./fit-map.js";
import { NetworkGraph } from "./network-graph.js";
import { LayerTable } from "./layer-table.js";
import "./metric-card.js";
import { allowBuild } from "./study-facts.js";
import { $, $$, setText } from "../lib/dom.js";
import { loosening, recoveryText } from "../lib/limits.js";
import { WAITING, metricView } from "../lib/metric-view.js";
import { expectedText } from "../lib/reached.js";
import { isReady } from "../lib/study.js";
import { legend, setTechniques } from "../lib/techniques.js";
import { withReasons } from "../lib/why.js";

const METRICS = [["latency_ms", "Latency"], ["energy_mj", "Energy per inference"], ["size_bytes", "Storage"], ["accuracy", "Accuracy"]];
const AXIS_FIELD = { latency: "latency_ms", energy: "energy_mj", size: "size_bytes" };
const TABLE_DELAY_MS = 90;

/* Layers that cost time or can be treated; flatten and fused activations would be empty blocks. */
const worthShowing = (layer) => layer.ms > 0 || layer.kind !== "other";
const fits = (layer) => Object.values(layer.applicable ?? {}).filter((on) => on === true).length;

export class StudioView {
  constructor(panel) {
    this.panel = panel;
    this.chart = $("#tradeoff");
    this.strip = $("#strip");
    this.table = new LayerTable($("#layers"));
    this.fitMap = new FitMap($("#fit-card"));
    this.graph = new NetworkGraph($("#network-card"));
    this.by = "";
    this.msAfter = new Map();
    $("#metrics").innerHTML = METRICS.map(([name, label]) => `<metric-card data-metric="${name}" label="${label}"></metric-card>`).join("");
    this.cards = Object.fromEntries($$("#metrics metric-card").map((card) => [card.dataset.metric, card]));
  }

  /** The model's layers, before there is any recipe. */
  setModel(studio) {
    this.studio = studio;
    this.pointed = null;
    setTechniques(studio.techniques ?? {});
    const rows = studio.layers.filter(worthShowing);
    const totalMs = studio.baseline?.latency_ms ?? null;
    this.strip.setLayers(rows, totalMs);
    this.table.setFacts(rows, Object.keys(studio.techniques ?? {}), totalMs);
    this.fitMap.show(rows, studio.techniques ?? {});
    this.graph.setLayers(studio.layers, rows, totalMs);
    this.untreated = new Set(rows.filter((layer) => !fits(layer)).map((layer) => layer.name));
    this.unsupported = new Set(rows.filter((layer) => layer.kind !== "other" && !fits(layer)).map((layer) => layer.name));
    if (studio.candidates.length) return;
    const kept = rows.map((layer) => ({ layer: layer.name, technique: "keep", why: fitText(layer) }));
    this.table.show(kept, {});
    this.graph.show(kept);
    this.strip.paint(kept, null);
  }

  drawChart({ axis, turned, onlyWithin, picked, budgets }) {
    const { studio } = this;
    if (!studio?.figure || !studio.candidates.length) {
      this.chart.figure = null;
      return;
    }
    this.chart.show(studio.figure, { axis, turned, onlyWithin, picked, budgets, candidates: studio.candidates });
  }

  /** Moves the star; called at every frame of a drag. */
  placeStar(prediction, axis) {
    const { value, low, high } = prediction[AXIS_FIELD[axis]];
    const original = 100 * this.studio.baseline.accuracy;
    const drop = prediction.accuracy_drop_points;
    this.chart.place({ value, low, high, accuracy: original - drop.value, accuracyLow: original - drop.high, accuracyHigh: original - drop.low });
  }

  /** choice: {prediction, answer, candidate, picked, feasible, within, budgets}. */
  show(choice, locks) {
    const { baseline } = this.studio;
    const { prediction } = choice;
    for (const [name] of METRICS) this.cards[name].view = metricView(name, baseline, prediction, baseline.accuracy_kind);
    this.showBar(prediction);
    this.held = { layers: rowsOf(choice), totalMs: prediction.latency_ms.value, locks };
    this.paintStrip();
    this.later(choice, locks);
  }

  /** Beside a phone's build button: what the recipe shown gives, or who finds another one (`by`). */
  showBar(prediction) {
    setText($("#bar-line"), this.by || this.headline(prediction));
  }

  /** What may lag behind the hand follows 90 ms after the last change. */
  later(choice, locks) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.showLate(choice, locks), TABLE_DELAY_MS);
  }

  showLate(choice, locks) {
    const { studio, panel } = this;
    this.showRows(rowsOf(choice), locks);
    const needed = choice.within ? {} : loosening(studio.candidates, choice.budgets);
    panel.showNote({ within: choice.within, total: studio.candidates.length, met: choice.feasible, locked: Object.keys(locks).length > 0, needed: Object.keys(needed).length ? needed : (choice.answer?.nearest ?? {}), conflict: choice.answer?.conflict, nearest: choice.answer?.nearest });
    setText($("#recovery-note"), recoveryText(choice.prediction, choice.budgets.max_accuracy_drop));
    setText($("#star-text"), this.starText(choice));
    $("#unpick").hidden = !choice.picked;
    const cancelled = studio.study.stopped === "cancelled";
    allowBuild(isReady(studio) && !cancelled, cancelled ? "The study was cancelled: let it go on, then build." : "The layers are still being probed: the build can start after that.");
  }

  /* A candidate that came without its layers leaves the table as it is until the policy tells them. */
  showRows(found, locks) {
    if (!found.length) return;
    const rows = withReasons(found, (layer) => !this.untreated.has(layer));
    this.table.show(rows, locks);
    this.graph.show(rows);
    this.showLegend(legend(rows.map((row) => row.technique), rows.map((row) => row.stored)));
  }

  /* Written only when it changes: its marks may have the focus. */
  showLegend(markup) {
    if (this.legend !== markup) $("#tech-legend").innerHTML = markup;
    this.legend = markup;
  }

  showNothing() {
    allowBuild(false, "The study has no candidates yet.");
    for (const card of Object.values(this.cards)) card.view = WAITING;
  }

  starText({ picked, feasible }) {
    if (picked) return `Your pick, candidate ${picked.id}`;
    if (!isReady(this.studio)) return feasible ? "Best so far, rough" : "Nearest so far, rough";
    return feasible ? "Recommended, with its band" : "Nearest, outside a limit";
  }

  headline(prediction) {
    return expectedText(this.studio.baseline, prediction);
  }

  /** The recipe of a candidate that is pointed at, in place of the one that is held; null brings that one back. */
  preview(candidate, layers) {
    this.pointed = candidate && { layers, totalMs: candidate.latency_ms, locks: {}, whose: `candidate ${candidate.id}` };
    if (this.held) this.paintStrip();
  }

  /* Times after come with the policy's answers; a candidate's tile borrows them when it can. */
  paintStrip() {
    const { msAfter, unsupported, studio } = this;
    const { layers, totalMs, locks, whose } = this.pointed ?? this.held;
    const tiles = layers.map((row) => {
      const key = `${studio.target.name}|${row.layer}|${row.technique}|${row.level}|${row.stored}`;
      if (row.ms_after !== undefined) msAfter.set(key, row.ms_after);
      const ms = row.ms_after ?? row.ms ?? msAfter.get(key) ?? null;
      return { layer: row.layer, technique: row.technique, level: row.level, stored: row.stored, ms, unsupported: unsupported.has(row.layer) };
    });
    const known = tiles.every((tile) => tile.ms !== null);
    this.strip.paint(known ? tiles : tiles.map((tile) => ({ ...tile, ms: null })), totalMs, locks, whose);
  }

  light(layer) {
    this.strip.light(layer);
    this.table.light(layer);
  }
}

const rowsOf = (choice) => choice.answer?.layers ?? choice.candidate?.tiles ?? [];

function fitText(layer) {
  const count = fits(layer);
  if (count) return `${count} ${count === 1 ? "technique fits" : "techniques fit"} this layer`;
  const reason = Object.values(layer.applicable ?? {}).find((value) => typeof value === "string");
  return reason ? `Kept: ${reason}` : "";
}
