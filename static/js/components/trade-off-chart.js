// The trade-off with the star: Plotly draws the points, an overlay carries the star, its band and the
// guide. While a slider is dragged only the overlay moves, by transform; Plotly is not called.
// Bands are drawn of a few best trade-offs, the star and the point under the pointer: all at once would hide the points.
// Where somebody chooses (the attribute "choosing") arrow keys walk the points, and limits may be moved by hand or keys.
// Emits "candidate-pick" with the candidate's id, or null to let go, "candidate-point" with that of the one that the
// pointer is on, or null, and "limit-drag" {budget, value, done}, its value null to take the limit away.
import { predicted } from "../lib/format.js";
import { limitText, stepped } from "../lib/limits.js";
import { readTokens, themed } from "../lib/theme.js";
import { OTHER, arrange, endsOf, limitAt, limitPlaces, limitSlider, placeOf } from "../lib/tradeoff.js";
import { PlotFigure } from "./plot-figure.js";

const STAR = "M0-13 3.500-4.900 12.400-4 5.700 1.800 7.600 10.500 0 6 -7.600 10.500 -5.700 1.800 -12.400-4 -3.500-4.900Z";
const HOVERS = matchMedia("(hover: hover)");
const KEY_STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
const GRIP = (anchor, side) => `<g class="grip" data-side="${side}" role="slider" tabindex="0" hidden><line class="shown"/><line class="hand"/><text text-anchor="${anchor}" y="-6"></text></g>`;
const OVERLAY = `<g aria-hidden="true"><line class="guide" x1="0" x2="0" y1="0" y2="0"/><g class="pointed"><line class="band"/><line class="band upright"/></g><g class="star"><circle class="halo" r="21"/><line class="band"/><line class="band upright"/><path d="${STAR}"/></g>
  <g class="pin"><rect x="-33" y="-10" width="66" height="20" rx="4"/><text text-anchor="middle" y="4"></text></g></g>
  ${GRIP("middle", "x")}${GRIP("end", "y")}`;

class TradeOffChart extends PlotFigure {
  connectedCallback() {
    super.connectedCallback();
    if (this.overlay) return;
    this.overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.overlay.setAttribute("class", "overlay");
    this.overlay.innerHTML = OVERLAY;
    this.overlay.style.display = "none";
    this.append(this.overlay);
    const part = (name) => this.overlay.querySelector(name);
    this.parts = { guide: part(".guide"), star: part(".star"), pointed: part(".pointed"), pin: part(".pin"), pinText: part(".pin text") };
    if (this.hasAttribute("choosing")) this.takeKeys();
    this.grips = Object.fromEntries([...this.overlay.querySelectorAll(".grip")].map((grip) => [grip.dataset.side, grip]));
    for (const [side, grip] of Object.entries(this.grips)) {
      this.holdBy(side, grip);
      this.moveByKeys(side, grip);
    }
  }

  get height() {
    return Number(this.getAttribute("height")) || (this.wide < 480 ? 340 : 400);
  }

  /** base: figure from Python; view: {axis, turned, candidates, budgets, onlyWithin, picked}. */
  show(base, view) {
    this.view = view;
    const { figure, front, shown } = arrange(base, view);
    this.lists = { front, shown };
    this.base = base;
    this.spec = base.layout.meta.axes[view.axis];
    this.figure = figure;
  }

  settled() {
    const { xaxis, yaxis } = this.plot._fullLayout;
    this.axes = { x: xaxis, y: yaxis };
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_click", ({ points }) => points[0].id && this.pick(points[0].id));
      this.plot.on("plotly_hover", ({ points }) => this.point(points[0].id ?? null));
      this.plot.on("plotly_unhover", () => this.point(null));
      this.plot.on("plotly_relayout", () => this.settled());
    }
    if (this.at) this.place(this.at, true);
    this.showBandOf(null);
    this.placeGrips();
  }

  /* ----- limits, moved by hand and by keys ----- */
  holdBy(side, grip) {
    const hand = grip.querySelector(".hand");
    let last = null;
    hand.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      hand.setPointerCapture(event.pointerId);
      last = null;
    });
    hand.addEventListener("pointermove", (event) => {
      if (!hand.hasPointerCapture(event.pointerId)) return;
      last = event;
      grip.classList.add("held");
      this.dragged(side, event, false);
    });
    hand.addEventListener("lostpointercapture", () => {
      grip.classList.remove("held");
      if (last) this.dragged(side, last, true);
    });
  }

  dragged(side, event, done) {
    const box = this.plot.getBoundingClientRect();
    const axis = this.axes[side];
    const from = side === "x" ? event.clientX - box.left : event.clientY - box.top;
    this.moveLimit(side, axis.p2l(clamp(from - axis._offset, 0, axis._length)), done);
  }

  /* As a slider: what keys do is done for good when they are let go, so that a held one does not redraw the chart. */
  moveByKeys(side, grip) {
    let place = null;
    grip.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") return this.removeLimit(side, event);
      const shown = this.shownByKey(side, event.key);
      if (shown === null) return;
      event.preventDefault();
      place = placeOf(this.sideOf(side), shown, this.base.layout);
      grip.classList.add("held");
      this.moveLimit(side, place, false);
    });
    const settle = () => {
      grip.classList.remove("held");
      if (place !== null) this.moveLimit(side, place, true);
      place = null;
    };
    grip.addEventListener("keyup", settle);
    grip.addEventListener("blur", settle);
  }

  shownByKey(side, key) {
    const { min, max, step } = this.sliderOf(side);
    const now = Number(this.grips[side].getAttribute("aria-valuenow"));
    const wanted = { Home: min, End: max }[key] ?? (key in KEY_STEPS ? stepped(now, KEY_STEPS[key], step) : null);
    return wanted === null ? null : clamp(wanted, Math.min(min, now), max);
  }

  removeLimit(side, event) {
    event.preventDefault();
    this.focus();
    this.emitLimit(this.sliderOf(side).budget, null, true);
  }

  sliderOf(side) {
    return limitSlider(this.sideOf(side), this.base.layout, this.spec);
  }

  /* To a place on the axis, read as a person would type it. */
  moveLimit(side, place, done) {
    const axis = this.axes[side];
    const { budget, value } = limitAt(this.sideOf(side), place, this.base.layout, this.spec);
    this.tellGrip(side, value);
    this.placeGrip(side, clamp(axis.l2p(place), 0, axis._length));
    this.emitLimit(budget, value, done);
  }

  emitLimit(budget, value, done) {
    this.dispatchEvent(new CustomEvent("limit-drag", { bubbles: true, detail: { budget, value, done } }));
  }

  /* What a limit is worth, for eyes and for screen readers. */
  tellGrip(side, value) {
    const grip = this.grips[side];
    const { budget, label, min, max } = this.sliderOf(side);
    const now = Number((this.sideOf(side) === "x" ? value * this.spec.scale : value).toPrecision(4));
    const facts = { label, valuenow: now, valuemin: Math.min(min, now), valuemax: Math.max(max, now), valuetext: limitText(budget, value), orientation: side === "x" ? "horizontal" : "vertical" };
    for (const [name, fact] of Object.entries(facts)) grip.setAttribute(`aria-${name}`, fact);
    grip.querySelector("text").textContent = limitText(budget, value);
  }

  /* Where a side of the picture stands on the figure that is not turned: costs across, accuracy upwards. */
  sideOf(side) {
    return this.view.turned ? OTHER[side] : side;
  }

  /** Where the limits stand that are drawn; none while nothing may be moved. */
  placeGrips() {
    const places = this.hasAttribute("choosing") && this.axes && !this.asTable ? limitPlaces(this.base.layout, this.spec, this.view.budgets) : {};
    for (const side of Object.keys(this.grips)) {
      const { axes, grips } = this;
      const place = places[this.sideOf(side)];
      grips[side].toggleAttribute("hidden", place === undefined);
      if (place === undefined || grips[side].classList.contains("held")) continue;
      this.tellGrip(side, this.view.budgets[this.sliderOf(side).budget]);
      this.placeGrip(side, clamp(axes[side].l2p(place), 0, axes[side]._length));
    }
  }

  placeGrip(side, px) {
    const { x, y } = this.axes;
    const grip = this.grips[side];
    const [left, top] = side === "x" ? [x._offset + px, y._offset] : [x._offset, y._offset + px];
    grip.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    for (const line of grip.querySelectorAll("line")) line.setAttribute(side === "x" ? "y2" : "x2", side === "x" ? y._length : x._length);
    if (side === "y") grip.querySelector("text").setAttribute("x", x._length);
  }

  /**
   * Moves star, band, guide and axis pin. at: {value, low, high} in the candidate's own unit and
   * {accuracy, accuracyLow, accuracyHigh} in percent, the last two where a band is known. `still` skips the motion (after a redraw).
   */
  place(at, still = false) {
    this.at = at;
    if (!this.axes || !this.spec || this.asTable) return this.toggleOverlay(false);
    this.toggleOverlay(true);
    const { scale, unit } = this.spec;
    const spots = this.spotsOf([at.value, at.low, at.high].map((value) => value * scale), [at.accuracy, at.accuracyLow ?? at.accuracy, at.accuracyHigh ?? at.accuracy]);
    const { px, py, foot } = spots;
    const { guide, star, pin, pinText } = this.parts;
    for (const node of [guide, star]) node.classList.toggle("still", still);
    guide.style.transform = `translate(${px.toFixed(1)}px, ${py.toFixed(1)}px)`;
    guide.setAttribute("y2", Math.max(0, foot - py).toFixed(1));
    placeBand(star, spots);
    pin.setAttribute("transform", `translate(${clamp(px, 34, this.wide - 34).toFixed(1)} ${(foot + 14).toFixed(1)})`);
    pinText.textContent = this.view.turned ? `${at.accuracy.toFixed(1)} %` : `${predicted(at.value * scale)} ${unit}`;
  }

  /* Where [middle, low, high] of a cost, in the axis' unit, and of accuracy lie on the page. */
  spotsOf(costs, points) {
    const { x, y } = this.axes;
    const above0 = costs.map((cost) => Math.max(cost, 1e-12));
    const [across, upwards] = this.view.turned ? [points, above0] : [above0, points];
    const on = (axis) => (value) => clamp(axis.l2p(axis.d2l(value)), 0, axis._length) + axis._offset;
    const [px, left, right] = across.map(on(x));
    const [py, bottom, top] = upwards.map(on(y));
    return { px, left, right, py, bottom, top, foot: y._offset + y._length };
  }

  /** Draws the band of the candidate that is pointed at; of none for null. */
  showBandOf(id) {
    const { pointed } = this.parts;
    const candidate = id === null ? null : this.view.candidates.find((known) => String(known.id) === id);
    pointed.toggleAttribute("hidden", !candidate?.ends);
    if (!candidate?.ends) return;
    const { original } = this.base.layout.meta;
    const { x, y } = endsOf(candidate, this.spec, original);
    const cost = candidate[this.spec.field] * this.spec.scale;
    const accuracy = original - candidate.drop_points;
    placeBand(pointed, this.spotsOf([cost, ...(x ?? [cost, cost])], [accuracy, ...(y ?? [accuracy, accuracy])]));
  }

  marks() {
    if (!this.at || !this.spec) return [];
    const { scale } = this.spec;
    const [cost, low, high] = [this.at.value, this.at.low, this.at.high].map((value) => value * scale);
    const { accuracy, accuracyLow = accuracy, accuracyHigh = accuracy } = this.at;
    const bar = (less, more) => ({ array: [more], arrayminus: [less], symmetric: false, thickness: 1.5, width: 0 });
    const sides = { x: [[cost], bar(cost - low, high - cost)], y: [[accuracy], bar(accuracy - accuracyLow, accuracyHigh - accuracy)] };
    const [x, y] = ["x", "y"].map((side) => sides[this.sideOf(side)]);
    const star = { type: "scatter", mode: "markers", x: x[0], y: y[0], meta: { role: "best" }, error_x: x[1], error_y: y[1] };
    return themed({ data: [star], layout: {} }, readTokens()).data;
  }

  toggleOverlay(on) {
    const display = on ? "" : "none";
    if (this.overlay.style.display !== display) this.overlay.style.display = display;
  }

  set table(on) {
    super.table = on;
    if (this.at) this.place(this.at, true);
    this.placeGrips();
  }

  /* ----- by keys ----- */
  takeKeys() {
    this.tabIndex = 0;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Trade-off chart. Left and right arrow keys hold one of the best trade-offs after the other, up and down any candidate by its accuracy; Escape lets go. Limits in sight are sliders, and Delete removes them.");
    this.addEventListener("keydown", (event) => event.target === this && this.key(event));
  }

  key(event) {
    const { front, shown } = this.lists ?? {};
    const [list, step] = { ArrowLeft: [front, -1], ArrowRight: [front, 1], ArrowDown: [shown, -1], ArrowUp: [shown, 1] }[event.key] ?? [];
    if (list?.length) {
      event.preventDefault();
      this.pick(String(this.next(list, step).id));
    }
    if (event.key === "Escape" && (this.view?.picked ?? null) !== null) this.pick(null);
  }

  /* From the point that is held or, where it is none of these, from the star. */
  next(list, step) {
    const here = list.findIndex((candidate) => candidate.id === this.view.picked);
    const start = here >= 0 ? here : this.firstBeyond(list) - (step > 0 ? 1 : 0);
    return list[clamp(start + step, 0, list.length - 1)];
  }

  /* Where in a list the star stands. */
  firstBeyond(list) {
    const { value = 0, accuracy = 0 } = this.at ?? {};
    const isBeyond = list === this.lists.front
      ? (candidate) => candidate[this.spec.field] >= value * 0.999
      : (candidate) => this.base.layout.meta.original - candidate.drop_points >= accuracy;
    const i = list.findIndex(isBeyond);
    return i < 0 ? list.length : i;
  }

  /* A finger that taps picks at once, and never leaves. */
  point(id) {
    if (!HOVERS.matches) return;
    this.showBandOf(id);
    this.dispatchEvent(new CustomEvent("candidate-point", { bubbles: true, detail: id }));
  }

  pick(id) {
    this.dispatchEvent(new CustomEvent("candidate-pick", { bubbles: true, detail: id }));
  }
}

/* A group's two lines from end to end, the group itself on the middle. */
function placeBand(group, { px, left, right, py, bottom, top }) {
  group.style.transform = `translate(${px.toFixed(1)}px, ${py.toFixed(1)}px)`;
  const [band, upright] = group.querySelectorAll(".band");
  for (const [line, name, value] of [[band, "x1", left - px], [band, "x2", right - px], [upright, "y1", bottom - py], [upright, "y2", top - py]]) line.setAttribute(name, value.toFixed(1));
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

customElements.define("trade-off-chart", TradeOffChart);
