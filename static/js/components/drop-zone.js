// Two slots, model and data, filled by one drop, by two, or by the file chooser. Knows how a slot
// looks in each state; the page uploads. Emits "file-chosen" {slot, file}, "file-cancel" {slot},
// "open-studio".
import { escape } from "../lib/dom.js";
import { bytes } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { slotOf } from "../lib/sniff.js";

const SLOTS = {
  model: { title: "1. Model", icon: "file", hint: "ONNX, up to 2 GiB, opset 7 or newer, weights inside the file", ask: "Now the model: an ONNX file" },
  data: { title: "2. Labelled data", icon: "data", hint: ".npz with x and y, or a .zip with one folder per class", ask: "Now the data: .npz with x and y, or a .zip with one folder per class" },
};
const HINT = "or drop both here. 500 labelled examples are enough to start; 2,000 give tighter intervals.";

const UNDER_WAY = ["reading", "waiting", "interrupted"];

const sentText = (percent) => (percent < 100 ? `${percent} % sent` : "Checking");

class DropZone extends HTMLElement {
  connectedCallback() {
    this.slots = { model: { state: "idle" }, data: { state: "idle" } };
    this.innerHTML = `<div class="cols-2">${Object.keys(SLOTS).map((name) => `<div class="slot" data-slot="${name}" aria-live="polite"></div>`).join("")}</div>
      <div class="row foot-row"></div><input type="file" multiple hidden>`;
    this.chooser = this.querySelector("input[type=file]");
    this.chooser.addEventListener("change", () => this.take([...this.chooser.files]));
    this.addEventListener("click", (event) => this.clicked(event));
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) this.addEventListener(type, (event) => this.dragged(event));
    // A file dropped beside the zone would otherwise replace the page.
    for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
    this.render();
  }

  /** state: idle | reading | waiting | interrupted | ready | refused; with {name, size_bytes, share, message}. */
  setSlot(name, slot) {
    const same = this.slots[name].state === slot.state && this.slots[name].message === slot.message;
    this.slots[name] = slot;
    // A bar that grows leaves the rest alone: whoever has the focus on Cancel keeps it.
    if (same && slot.state === "reading") this.showShare(name, slot.share);
    else this.render();
  }

  showShare(name, share) {
    const percent = Math.round((share ?? 0) * 100);
    const bar = this.querySelector(`[data-slot="${name}"] .bar`);
    bar.style.setProperty("--done", `${percent}%`);
    bar.setAttribute("aria-valuenow", percent);
    bar.nextElementSibling.textContent = sentText(percent);
  }

  setOpening(text) {
    this.opening = text;
    this.render();
  }

  dragged(event) {
    event.preventDefault();
    const over = event.type === "dragenter" || event.type === "dragover";
    if (event.type === "dragleave" && this.contains(event.relatedTarget)) return;
    this.classList.toggle("over", over);
    if (event.type === "drop") this.take([...event.dataTransfer.files]);
  }

  clicked(event) {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (action === "choose") this.chooser.click();
    if (action === "open") this.dispatchEvent(new CustomEvent("open-studio", { bubbles: true }));
    const cancel = event.target.closest("[data-cancel]")?.dataset.cancel;
    if (cancel) this.dispatchEvent(new CustomEvent("file-cancel", { bubbles: true, detail: { slot: cancel } }));
  }

  async take(files) {
    for (const file of files.slice(0, 2)) {
      const head = new Uint8Array(await file.slice(0, 4).arrayBuffer().catch(() => new ArrayBuffer(0)));
      this.dispatchEvent(new CustomEvent("file-chosen", { bubbles: true, detail: { slot: slotOf(head, file.name), file } }));
    }
    this.chooser.value = "";
  }

  render() {
    for (const [name, slot] of Object.entries(this.slots)) this.renderSlot(name, slot);
    const { model, data } = this.slots;
    const both = model.state === "ready" && data.state === "ready";
    const any = [model, data].some((slot) => !["idle", "interrupted"].includes(slot.state));
    const choose = `<button type="button" class="btn ${model.state === "ready" && both ? "" : any ? "" : "primary"} big" data-action="choose">${any ? "Choose another file" : "Choose files"}</button>`;
    const open = model.state === "ready" ? `<button type="button" class="btn ${both ? "primary" : ""} big" data-action="open"${this.opening ? " disabled" : ""}>${this.opening ?? (both ? "Open studio" : "Open without data")}</button>` : "";
    const without = model.state === "ready" && data.state === "idle" ? "Without data, accuracy becomes agreement with the original on synthetic inputs, and every page says so." : any ? "" : HINT;
    this.querySelector(".foot-row").innerHTML = `${both ? open + choose : choose + open}<span class="small muted">${without}</span>`;
  }

  renderSlot(name, slot) {
    const node = this.querySelector(`[data-slot="${name}"]`);
    const spec = SLOTS[name];
    const other = this.slots[name === "model" ? "data" : "model"].state;
    node.className = `slot ${slot.state}`;
    const icon = { ready: "ready", refused: "refused" }[slot.state] ?? spec.icon;
    const file = slot.name ? `<p class="file"><bdi class="strong">${escape(slot.name)}</bdi> <span class="muted nowrap">${bytes(slot.size_bytes)}</span></p>` : "";
    node.innerHTML = `<span class="slot-icon">${ICONS[icon]}</span><h2>${spec.title}</h2>${this.slotBody(name, slot, spec, other, file)}`;
  }

  slotBody(name, slot, spec, other, file) {
    const share = Math.round((slot.share ?? 0) * 100);
    if (UNDER_WAY.includes(slot.state)) {
      const said = slot.message ? `<p class="hint">${escape(slot.message)}</p>` : "";
      return `<div class="progress">${file}<div class="row tight"><span class="bar grow" role="progressbar" aria-label="Sending ${escape(slot.name)}" aria-valuenow="${share}" aria-valuemin="0" aria-valuemax="100" style="--done:${share}%"><i></i></span><span class="tiny muted sent">${sentText(share)}</span><button type="button" class="btn quiet mini" data-cancel="${name}">${slot.state === "interrupted" ? "Discard" : "Cancel"}</button></div>${said}</div>`;
    }
    if (slot.state === "ready") return `<div>${file}<p class="hint">${escape(slot.message ?? "Ready")}</p></div>`;
    if (slot.state === "refused") return `<div>${file}<p class="reason" role="alert">${escape(slot.message)}</p></div>`;
    return `<p class="hint">${other === "ready" ? `<b>${spec.ask}</b>` : spec.hint}</p>`;
  }
}
customElements.define("drop-zone", DropZone);
