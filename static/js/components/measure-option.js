// Building for a connected device: whether the result is measured there when it is built.
import { get, quietly } from "../lib/api.js";
import { escape } from "../lib/dom.js";
import { statePill } from "../lib/device-tasks.js";

class MeasureOption extends HTMLElement {
  #target = "";

  /** The name of the chosen device; the question appears where it is connected. */
  set target(name) {
    if (name === this.#target) return;
    this.#target = name;
    this.innerHTML = "";
    if (name.startsWith("own-")) quietly(this.#look(name));
  }

  get checked() {
    return this.querySelector("input")?.checked ?? false;
  }

  async #look(name) {
    const { devices } = await get("/api/connected-devices");
    const device = devices.find(({ key }) => key === name);
    if (!device || this.#target !== name) return;
    this.innerHTML = `<label class="check" style="margin-top:8px"><input type="checkbox" checked><span>Then measure it on ${escape(device.title)} ${statePill(device)}</span></label>`;
  }
}

customElements.define("measure-option", MeasureOption);
