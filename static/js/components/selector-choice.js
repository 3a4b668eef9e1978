// Who chooses the recipe of a build: a quiet fold with a choice, and what it means in a line.
// Emits "selector-change" on its node.
import { $, $$, escape, setText } from "../lib/dom.js";
import { USUAL, buildChoice, buildNote } from "../lib/selectors.js";

export class SelectorChoice {
  /** node: the <details>; note: what says that the recipe shown is not the one to be built. */
  constructor(node, note) {
    Object.assign(this, { node, note, selectors: [], name: USUAL, view: "" });
    node.addEventListener("change", ({ target }) => this.changed(target));
  }

  /** Fills the choice, once. */
  show(selectors) {
    if (this.selectors.length || !selectors?.length) return;
    this.selectors = selectors;
    const { views } = selectors.find((selector) => selector.views.length);
    this.view ||= views[0].name;
    this.views = views;
    $("div", this.node).innerHTML = `<div class="stack close">
      <label class="small" for="selector">Method</label><select class="select" id="selector" aria-describedby="selector-text">${options(selectors)}</select>
      <p class="tiny muted" id="selector-text"></p>
      <label class="small" for="selector-view" data-views>Energy and latency that it counts</label><select class="select" id="selector-view" aria-describedby="selector-view-text" data-views>${options(views)}</select>
      <p class="tiny muted" id="selector-view-text" data-views></p></div>`;
    this.paint();
  }

  get chosen() {
    return this.selectors.find(({ name }) => name === this.name) ?? { name: USUAL, views: [] };
  }

  get isUsual() {
    return this.name === USUAL;
  }

  /** Goes into the request of a build. */
  request(config) {
    return buildChoice(this.chosen, this.view, config);
  }

  get kept() {
    return { name: this.name, view: this.view };
  }

  set kept({ name, view }) {
    Object.assign(this, { name, view });
    if (this.selectors.length) this.paint();
  }

  changed({ id, value }) {
    if (id === "selector") this.name = value;
    else this.view = value;
    this.paint();
    this.node.dispatchEvent(new CustomEvent("selector-change"));
  }

  paint() {
    const { chosen, view, node } = this;
    $("#selector", node).value = chosen.name;
    $("#selector-view", node).value = view;
    setText($("summary span", node), chosen.inside);
    setText($("#selector-text", node), chosen.text);
    for (const part of $$("[data-views]", node)) part.hidden = !chosen.views.length;
    setText($("#selector-view-text", node), this.views.find(({ name }) => name === view)?.text ?? "");
    setText($("span", this.note), buildNote(chosen));
    this.note.hidden = this.isUsual;
  }
}

const options = (entries) => entries.map(({ name, title }) => `<option value="${escape(name)}">${escape(title)}</option>`).join("");
