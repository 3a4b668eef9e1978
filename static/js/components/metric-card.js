// One headline number: arrow, ratio, absolute before → after with its band, badge. Never colour alone.
import "./help-note.js";
import { setText } from "../lib/dom.js";
import { tierOf } from "../lib/evidence.js";
import { ICONS } from "../lib/icons.js";
import { WAITING } from "../lib/metric-view.js";

const SHELL = `<header class="with-help"><span></span></header><p class="value"><span class="arrow"></span><span class="number"></span><small></small></p>
  <p class="detail"><span class="from"></span><b class="to"></b> <span class="muted nowrap band"></span></p><span class="tier"></span>`;

class MetricCard extends HTMLElement {
  connectedCallback() {
    if (this.parts) return;
    this.classList.add("metric");
    if (!this.hasAttribute("bare")) this.classList.add("card");
    this.innerHTML = SHELL;
    const part = (selector) => this.querySelector(selector);
    this.parts = { arrow: part(".arrow"), number: part(".number"), unit: part("small"), from: part(".from"), to: part(".to"), band: part(".band"), tier: part(".tier") };
    part("header span").textContent = this.getAttribute("label");
    part("header").insertAdjacentHTML("beforeend", `<help-note term="${this.dataset.metric}"></help-note>`);
    this.view = WAITING;
  }

  /** {number, unit, from, to, band, label, text, way: "down"|"up"|"same"|null, tone} as texts. */
  set view(view) {
    const { parts } = this;
    if (!parts) return;
    for (const name of ["number", "unit", "from", "to", "band"]) setText(parts[name], view[name]);
    setText(parts.tier, view.text);
    const tier = tierOf(view.label);
    if (parts.tier.dataset.tier !== tier) parts.tier.dataset.tier = tier;
    const arrow = `${view.way}|${view.tone}`;
    if (this.arrow === arrow) return;
    this.arrow = arrow;
    parts.arrow.className = `arrow ${view.tone}`;
    parts.arrow.innerHTML = view.way ? ICONS[view.way] : "";
  }
}
customElements.define("metric-card", MetricCard);
