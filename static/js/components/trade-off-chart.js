// The trade-off with the star: Plotly draws the points, an overlay carries the star, its band and the
// guide. While a slider is dragged only the overlay moves, by transform; Plotly is not called.
// Left and right walk the best trade-offs. Emits "candidate-pick" with the candidate's id.
import { predicted } from "../lib/format.js";
import { arrange } from "../lib/tradeoff.js";
import { PlotFigure } from "./plot-figure.js";

const STAR = "M0-13 3.500-4.900 12.400-4 5.700 1.800 7.600 10.500 0 6 -7.600 10.500 -5.700 1.800 -12.400-4 -3.500-4.900Z";
const OVERLAY = `<line class="guide" x1="0" x2="0" y1="0" y2="0"/><g class="star"><circle class="halo" r="21"/><line class="band"/><path d="${STAR}"/></g>
  <g class="pin"><rect x="-33" y="-10" width="66" height="20" rx="4"/><text text-anchor="middle" y="4"></text></g>`;

class TradeOffChart extends PlotFigure {
  connectedCallback() {
    super.connectedCallback();
    if (this.overlay) return;
    this.overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.overlay.setAttribute("class", "overlay");
    this.overlay.setAttribute("aria-hidden", "true");
    this.overlay.innerHTML = OVERLAY;
    this.overlay.style.display = "none";
    this.append(this.overlay);
    const part = (name) => this.overlay.querySelector(name);
    this.parts = { guide: part(".guide"), star: part(".star"), band: part(".band"), pin: part(".pin"), pinText: part(".pin text") };
    this.tabIndex = 0;
    this.setAttribute("aria-label", "Trade-off chart. Left and right arrow keys walk the best trade-offs.");
    this.setAttribute("role", "group");
    this.addEventListener("keydown", (event) => this.walk(event));
  }

  get height() {
    return Number(this.getAttribute("height")) || (this.wide < 480 ? 340 : 400);
  }

  /** base: figure from Python; view: {axis, candidates, budgets, onlyWithin, picked}. */
  show(base, view) {
    this.view = view;
    const { figure, front } = arrange(base, view);
    this.front = front;
    this.spec = base.layout.meta.axes[view.axis];
    this.figure = figure;
  }

  settled() {
    const { xaxis, yaxis } = this.plot._fullLayout;
    this.axes = { x: xaxis, y: yaxis };
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_click", ({ points }) => points[0].id && this.pick(points[0].id));
      this.plot.on("plotly_relayout", () => this.settled());
    }
    if (this.at) this.place(this.at, true);
  }

  /**
   * Moves star, band, guide and axis pin. at: {value, low, high} in the candidate's own unit and
   * {accuracy} in percent. `still` skips the motion (after a redraw).
   */
  place(at, still = false) {
    this.at = at;
    if (!this.axes || !this.spec || this.asTable) return this.toggleOverlay(false);
    this.toggleOverlay(true);
    const { x, y } = this.axes;
    const { scale, unit } = this.spec;
    const inX = (value) => clamp(x.l2p(x.d2l(Math.max(value * scale, 1e-12))), 0, x._length) + x._offset;
    const px = inX(at.value);
    const py = clamp(y.l2p(y.d2l(at.accuracy)), 0, y._length) + y._offset;
    const foot = y._offset + y._length;
    const { guide, star, band, pin, pinText } = this.parts;
    for (const node of [guide, star]) node.classList.toggle("still", still);
    star.style.transform = `translate(${px.toFixed(1)}px, ${py.toFixed(1)}px)`;
    guide.style.transform = `translate(${px.toFixed(1)}px, ${py.toFixed(1)}px)`;
    guide.setAttribute("y2", Math.max(0, foot - py).toFixed(1));
    band.setAttribute("x1", (inX(at.low) - px).toFixed(1));
    band.setAttribute("x2", (inX(at.high) - px).toFixed(1));
    pin.setAttribute("transform", `translate(${clamp(px, 34, this.wide - 34).toFixed(1)} ${(foot + 14).toFixed(1)})`);
    pinText.textContent = `${predicted(at.value * scale)} ${unit}`;
  }

  toggleOverlay(on) {
    const display = on ? "" : "none";
    if (this.overlay.style.display !== display) this.overlay.style.display = display;
  }

  set table(on) {
    super.table = on;
    if (this.at) this.place(this.at, true);
  }

  walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.front?.length || event.target !== this) return;
    event.preventDefault();
    const here = this.front.findIndex((candidate) => candidate.id === this.view.picked);
    const start = here >= 0 ? here : this.nearest() - (step > 0 ? 1 : 0);
    const next = this.front[clamp(start + step, 0, this.front.length - 1)];
    this.pick(String(next.id));
  }

  /* The first best trade-off at or beyond the star. */
  nearest() {
    const i = this.front.findIndex((candidate) => candidate[this.spec.field] >= (this.at?.value ?? 0) * 0.999);
    return i < 0 ? this.front.length : i;
  }

  pick(id) {
    this.dispatchEvent(new CustomEvent("candidate-pick", { bubbles: true, detail: id }));
  }
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

customElements.define("trade-off-chart", TradeOffChart);
