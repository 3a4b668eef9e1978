// One block a layer, width = time before; below it the same strip at the same scale after.
// Emits "layer-hover" and "layer-open" with the layer's name.
import { escape, setText } from "../lib/dom.js";
import { predicted } from "../lib/format.js";
import { fillOf, isSmall, isStacked, lettersOf, titleOf } from "../lib/techniques.js";

const ROOM_FOR_LEVEL_PX = 18;
const PX_PER_LETTER = 5.6;

class RecipeStrip extends HTMLElement {
  connectedCallback() {
    if (this.strip) return;
    this.innerHTML = `<p class="strip-label"><span class="strip-what">One block per layer, width = time before</span><span class="before-total"></span></p>
      <div class="recipe" role="toolbar" aria-label="Layers of the recipe"></div>
      <p class="strip-label"><span>Same scale, after</span><span class="after-total"></span></p>
      <div class="after-well"><div class="after-strip" style="--width:100%"></div></div>`;
    this.strip = this.querySelector(".recipe");
    this.after = this.querySelector(".after-strip");
    this.blocks = new Map();
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
    this.total = totalMs;
    const shareOf = (layer) => (timed > 0 ? (100 * layer.ms) / timed : 1);
    this.strip.innerHTML = layers.map((layer, i) => `<button type="button" data-layer="${escape(layer.name)}" tabindex="${i ? -1 : 0}" style="--share:${shareOf(layer).toFixed(4)}"><span></span><small></small></button>`).join("");
    this.after.innerHTML = layers.map(() => "<i></i>").join("");
    this.blocks = new Map([...this.strip.children].map((button, i) => [button.dataset.layer, { button, letter: button.firstElementChild, level: button.lastElementChild, after: this.after.children[i], key: "" }]));
    this.sum = layers.reduce((sum, layer) => sum + shareOf(layer), 0);
    setText(this.querySelector(".strip-what"), timed > 0 ? "One block per layer, width = time before" : "One block per layer; times are not known yet");
    setText(this.querySelector(".before-total"), totalMs === null ? "" : `${predicted(totalMs)} ms`);
  }

  /**
   * tiles: [{layer, technique, level, stored, ms}]; totalMs: after, on this target; locks: layers held.
   * Only blocks that changed are written.
   */
  paint(tiles, totalMs, locks = {}) {
    const timed = tiles.reduce((sum, tile) => sum + (tile.ms ?? 0), 0);
    for (const tile of tiles) {
      const block = this.blocks.get(tile.layer);
      if (block) this.paintBlock(block, tile, tile.layer in locks, timed);
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
    const key = `${tile.technique}|${tile.level}|${tile.stored}|${fixed}|${this.wide}|${ms}|${timed}`;
    if (block.key === key) return;
    block.key = key;
    const { button, letter, level, after } = block;
    const fill = fillOf(tile.technique);
    const share = button.style.getPropertyValue("--share");
    button.style.cssText = `--share:${share};${fill}`;
    button.className = [isSmall(tile.stored) && "small-weights", isStacked(tile.technique) && "two", fixed && "fixed", tile.unsupported && "unknown"].filter(Boolean).join(" ");
    letter.textContent = lettersOf(tile.technique).join(" ");
    const words = tile.level ?? "";
    const room = ((this.wide ?? 900) * Number(share)) / this.sum >= ROOM_FOR_LEVEL_PX + PX_PER_LETTER * words.length;
    level.textContent = room ? words : "";
    button.setAttribute("aria-label", [tile.layer, titleOf(tile.technique), tile.level, isSmall(tile.stored) && tile.stored, fixed && "locked"].filter(Boolean).join(", "));
    after.className = isStacked(tile.technique) ? "two" : "";
    after.style.cssText = `${fill};--share:${ms === null || !timed ? share : Math.max(0.01, (100 * ms) / timed).toFixed(4)}`;
  }

  resized(width) {
    const wide = Math.round(width / 40) * 40;
    if (wide === this.wide) return;
    this.wide = wide;
    this.emit("strip-resize", wide);
  }

  light(name) {
    for (const [layer, { button }] of this.blocks) button.classList.toggle("on", layer === name);
  }

  focused(name) {
    for (const [layer, { button }] of this.blocks) button.tabIndex = layer === name ? 0 : -1;
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
