// One block a layer, width = time before, or a block for several where there is no room; below it the same strip at the same scale after.
// Emits "layer-hover" and "layer-open" with the layer's name.
import { escape, setText } from "../lib/dom.js";
import { predicted } from "../lib/format.js";
import { blocksOf, keyOfTile, tileOfBlock } from "../lib/strip.js";
import { fillOf, isSmall, isStacked, lettersOf, titleOf } from "../lib/techniques.js";

const ROOM_FOR_LEVEL_PX = 18;
const PX_PER_LETTER = 5.6;
const LEAST_BLOCK_PX = 22; // the least width of a block and the gap after it
const USUAL_PX = 900;

/* "conv1, SVD"; of layers that share a block "conv1 to conv9, 9 layers, mostly SVD". */
function nameOf({ names }, { technique, layers, alike }) {
  if (names.length === 1) return `${names[0]}, ${titleOf(technique)}`;
  return `${names[0]} to ${names.at(-1)}, ${layers} layers, ${alike ? "all" : "mostly"} ${titleOf(technique)}`;
}

class RecipeStrip extends HTMLElement {
  connectedCallback() {
    if (this.strip) return;
    this.innerHTML = `<p class="strip-label"><span class="strip-what">One block per layer, width = time before</span><span class="before-total"></span></p>
      <div class="recipe" role="toolbar" aria-label="Layers of the recipe"></div>
      <p class="strip-label"><span class="after-what">Same scale, after</span><span class="after-total"></span></p>
      <div class="after-well"><div class="after-strip" style="--width:100%"></div></div>`;
    this.strip = this.querySelector(".recipe");
    this.after = this.querySelector(".after-strip");
    this.blocks = new Map();
    this.runs = [];
    const layerOf = (event) => event.target.closest("[data-layer]")?.dataset.layer;
    this.strip.addEventListener("pointerover", (event) => this.emit("layer-hover", layerOf(event)));
    this.strip.addEventListener("pointerleave", () => this.emit("layer-hover", null));
    this.strip.addEventListener("focusin", (event) => this.focused(layerOf(event)));
    this.strip.addEventListener("click", (event) => layerOf(event) && this.emit("layer-open", layerOf(event)));
    this.strip.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(([entry]) => this.resized(entry.contentRect.width)).observe(this.strip);
  }

  /** layers: [{name, ms}] in model order; totalMs: the whole network before, or null while unknown. */
  setLayers(layers, totalMs) {
    const timed = layers.reduce((sum, layer) => sum + layer.ms, 0);
    Object.assign(this, { layers, timed, total: totalMs });
    this.build();
    setText(this.querySelector(".before-total"), totalMs === null ? "" : `${predicted(totalMs)} ms`);
  }

  get room() {
    return Math.floor((this.wide ?? USUAL_PX) / LEAST_BLOCK_PX);
  }

  /* As many blocks as there is room for; a deep network's neighbours share one. */
  build() {
    const { layers, timed } = this;
    const runs = blocksOf(layers, this.room);
    const shareOf = ({ ms, names }) => (timed > 0 ? (100 * ms) / timed : names.length);
    this.strip.innerHTML = runs.map((run, i) => `<button type="button" data-layer="${escape(run.names[0])}" tabindex="${i ? -1 : 0}" style="--share:${shareOf(run).toFixed(4)}"><span></span><small></small></button>`).join("");
    this.after.innerHTML = runs.map(() => "<i></i>").join("");
    this.runs = runs.map(({ names }, i) => {
      const button = this.strip.children[i];
      return { names, button, letter: button.firstElementChild, level: button.lastElementChild, after: this.after.children[i], key: "" };
    });
    this.blocks = new Map(this.runs.flatMap((block) => block.names.map((name) => [name, block])));
    this.sum = runs.reduce((sum, run) => sum + shareOf(run), 0);
    this.stop = this.runs[0];
    this.lit = null;
    const what = runs.length < layers.length ? `${layers.length} layers in ${runs.length} blocks` : "One block per layer";
    setText(this.querySelector(".strip-what"), timed > 0 ? `${what}, width = time before` : `${what}; times are not known yet`);
  }

  /**
   * tiles: [{layer, technique, level, stored, ms}]; totalMs: after, on this target; locks: layers held; whose: recipe
   * this is, where it is not the one that is held.
   * Only blocks that changed are written.
   */
  paint(tiles, totalMs, locks = {}, whose = "") {
    this.painted = [tiles, totalMs, locks, whose];
    setText(this.querySelector(".after-what"), `Same scale, after${whose && `, ${whose}`}`);
    const timed = tiles.reduce((sum, tile) => sum + (tile.ms ?? 0), 0);
    const tileOf = new Map(tiles.map((tile) => [tile.layer, tile]));
    for (const block of this.runs) {
      const own = block.names.map((name) => tileOf.get(name)).filter(Boolean);
      if (own.length) this.paintBlock(block, tileOfBlock(own), block.names.some((name) => name in locks), timed);
    }
    if (totalMs === null) return this.paintUnknown();
    this.after.style.setProperty("--width", `${Math.max(0.4, Math.min(100, (100 * totalMs) / this.total)).toFixed(2)}%`);
    setText(this.querySelector(".after-total"), `${predicted(totalMs)} ms`);
  }

  /* Before there is a recipe, the strip after would be a guess: it stays empty. */
  paintUnknown() {
    this.after.style.setProperty("--width", "0%");
    setText(this.querySelector(".after-total"), "not known yet");
  }

  paintBlock(block, tile, fixed, timed) {
    const ms = tile.ms ?? null;
    const key = `${keyOfTile(tile)}|${fixed}|${this.wide}|${timed}`;
    if (block.key === key) return;
    block.key = key;
    const { button, letter, level, after } = block;
    const fill = fillOf(tile.technique);
    const share = button.style.getPropertyValue("--share");
    button.style.cssText = `--share:${share};${fill}`;
    button.className = [isSmall(tile.stored) && "small-weights", isStacked(tile.technique) && "two", fixed && "fixed", tile.unsupported && "unknown"].filter(Boolean).join(" ");
    letter.textContent = lettersOf(tile.technique).join(" ");
    const words = tile.layers > 1 ? `×${tile.layers}` : tile.level;
    const room = ((this.wide ?? USUAL_PX) * Number(share)) / this.sum >= ROOM_FOR_LEVEL_PX + PX_PER_LETTER * words.length;
    level.textContent = room ? words : "";
    button.setAttribute("aria-label", [nameOf(block, tile), tile.level, isSmall(tile.stored) && tile.stored, fixed && "locked"].filter(Boolean).join(", "));
    after.className = isStacked(tile.technique) ? "two" : "";
    after.style.cssText = `${fill};--share:${ms === null || !timed ? share : Math.max(0.01, (100 * ms) / timed).toFixed(4)}`;
  }

  resized(width) {
    const wide = Math.round(width / 40) * 40;
    if (wide === this.wide) return;
    this.wide = wide;
    if (!this.layers) return;
    if (Math.min(this.layers.length, this.room) !== this.runs.length) this.build();
    if (this.painted) this.paint(...this.painted);
  }

  light(name) {
    this.lit?.button.classList.remove("on");
    this.lit = this.blocks.get(name) ?? null;
    this.lit?.button.classList.add("on");
  }

  focused(name) {
    const block = this.blocks.get(name);
    if (!block) return;
    this.stop.button.tabIndex = -1;
    this.stop = block;
    block.button.tabIndex = 0;
    this.emit("layer-hover", name);
  }

  key(event) {
    const step = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
    const next = step ? event.target[step] : { Home: this.strip.firstElementChild, End: this.strip.lastElementChild }[event.key];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
  }
}
customElements.define("recipe-strip", RecipeStrip);
