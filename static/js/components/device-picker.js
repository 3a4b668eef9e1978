// The target device: a button that shows the choice, a menu with search, families and radios.
// Escape or a click outside closes; arrows move; Enter or the space bar picks. Emits "device-change" with the name.
import { escape } from "../lib/dom.js";
import { FAMILIES, bandText, chipName } from "../lib/evidence.js";
import { badge } from "../lib/markup.js";

const bandWords = (target) => {
  const band = target.band;
  if (typeof band === "string") return band;
  const [low, high] = Array.isArray(band) ? band : [band?.low ?? 1, band?.high ?? 1];
  return target.label === "measured" ? "" : bandText(low, high);
};
const isRadio = (node) => node.matches("input[type=radio]");
const targetBadge = (target) => badge(target.label, [target.label, bandWords(target)].filter(Boolean).join(" "));

class DevicePicker extends HTMLElement {
  connectedCallback() {
    this.innerHTML = `<button type="button" class="picker-button" aria-haspopup="true" aria-expanded="false"><span class="grow"><b class="name"></b><br><span class="small muted chip-name"></span></span><span class="badge-slot"></span></button>
      <div class="picker-menu" hidden><label class="sr" for="device-search">Search devices</label><input class="input" id="device-search" type="search" placeholder="Search name or chip" autocomplete="off"><div class="list" role="radiogroup" aria-label="Devices"></div></div>`;
    this.button = this.querySelector(".picker-button");
    this.menu = this.querySelector(".picker-menu");
    this.search = this.querySelector("#device-search");
    this.list = this.querySelector(".list");
    this.button.addEventListener("click", () => this.toggle(this.menu.hidden));
    this.search.addEventListener("input", () => this.render());
    this.list.addEventListener("click", (event) => event.target.matches("input") && event.detail > 0 && this.pick(event.target.value));
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("keyup", (event) => event.key === " " && isRadio(event.target) && this.pick(event.target.value));
    this.addEventListener("focusout", (event) => !this.contains(event.relatedTarget) && event.relatedTarget && this.toggle(false));
    document.addEventListener("pointerdown", (event) => !this.contains(event.target) && this.toggle(false));
  }

  /** targets: [{name, title, chip, family, label, band}]. */
  set targets(targets) {
    this.all = targets;
    this.show();
  }

  set value(name) {
    this.chosen = name;
    this.show();
  }

  get value() {
    return this.chosen;
  }

  show() {
    const target = this.all?.find((candidate) => candidate.name === this.chosen);
    if (!target) return;
    this.querySelector(".name").textContent = target.title;
    this.querySelector(".chip-name").textContent = chipName(target.chip);
    this.querySelector(".badge-slot").innerHTML = targetBadge(target);
    this.button.setAttribute("aria-label", `Target device: ${target.title}, ${target.label}. Change`);
    if (!this.menu.hidden) this.render();
  }

  toggle(open) {
    if (open === !this.menu.hidden) return;
    this.menu.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    this.search.value = "";
    this.drawn = null; // arrow keys that ended in Escape moved the mark
    this.render();
    (this.list.querySelector(":checked") ?? this.search).focus();
  }

  render() {
    const query = this.search.value.trim().toLowerCase();
    const hits = this.all.filter((t) => `${t.title} ${t.chip} ${t.name}`.toLowerCase().includes(query));
    const families = [...new Set(hits.map((target) => target.family))];
    const row = (t) => `<label><input type="radio" name="device" value="${escape(t.name)}"${t.name === this.chosen ? " checked" : ""}><span>${escape(t.title)}<br><span class="tiny muted">${escape(chipName(t.chip))}</span></span>${targetBadge(t)}</label>`;
    const rows = families.map((family) => `<h3>${escape(FAMILIES[family] ?? family)}</h3>${hits.filter((t) => t.family === family).map(row).join("")}`).join("")
      || `<p class="small muted" style="padding:12px">No device matches “${escape(query)}”.</p>`;
    if (rows === this.drawn) return;
    this.drawn = rows;
    const held = this.list.contains(document.activeElement) ? document.activeElement.value : null;
    this.list.innerHTML = rows;
    // A study that moves draws the list anew: whoever is on their way through it stays where they are.
    if (held !== null) this.list.querySelector(`input[value="${CSS.escape(held)}"]`)?.focus();
  }

  key(event) {
    if (event.key === "Escape" && !this.menu.hidden) {
      event.preventDefault();
      this.toggle(false);
      this.button.focus();
    }
    if (event.key === "Enter" && !this.menu.hidden && event.target !== this.button) {
      event.preventDefault();
      const radio = isRadio(event.target) ? event.target : this.list.querySelector("input");
      if (radio) this.pick(radio.value);
    }
    if (event.key === "ArrowDown" && event.target === this.search) {
      event.preventDefault();
      this.list.querySelector("input")?.focus();
    }
  }

  pick(name) {
    this.value = name;
    this.toggle(false);
    this.button.focus();
    this.dispatchEvent(new CustomEvent("device-change", { bubbles: true, detail: name }));
  }
}
customElements.define("device-picker", DevicePicker);
