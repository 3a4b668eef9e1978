// The report's table of what connected devices measured of this build, apart from this host's times.
import { get, post, quietly } from "../lib/api.js";
import { escape } from "../lib/dom.js";
import { buildRow, statePill } from "../lib/device-tasks.js";
import { note } from "../lib/markup.js";

const LOOK_EVERY_MS = 4000;

class DeviceMeasurements extends HTMLElement {
  #shown = "";
  #fault = "";
  #timer = 0;

  connectedCallback() {
    this.addEventListener("click", (event) => this.#clicked(event));
    this.#look();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  get #url() {
    return `/api/jobs/${this.dataset.job}/device-tasks`;
  }

  async #look() {
    clearTimeout(this.#timer);
    const found = await quietly(get(this.#url));
    if (found) this.#show(found);
    // Where nothing is connected nothing can change.
    if (!found || found.devices.length) this.#timer = setTimeout(() => this.#lookWhenSeen(), LOOK_EVERY_MS);
  }

  #lookWhenSeen() {
    if (!document.hidden) return this.#look();
    this.#timer = setTimeout(() => this.#lookWhenSeen(), LOOK_EVERY_MS);
  }

  #show({ tasks, devices }) {
    const shown = JSON.stringify([tasks, devices, this.#fault]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.closest("section").hidden = !tasks.length && !devices.length;
    const open = new Set(tasks.filter((task) => task.is_open).map((task) => task.device_id));
    const buttons = devices.filter((device) => !open.has(device.id)).map((device) => `<button type="button" class="btn" data-device="${escape(device.id)}" data-needs-server>Measure on ${escape(device.title)}</button> ${statePill(device)}`);
    this.innerHTML = `${this.#fault ? note("bad", `<p>${escape(this.#fault)}</p>`) : ""}
      ${tasks.length ? `<div class="table-wrap"><table class="as-cards"><caption class="sr">Times on connected devices</caption><thead><tr><th>Device</th><th class="n">Original, p10–p90</th><th class="n">Compressed, p10–p90</th><th class="n">Change</th><th>How we know</th></tr></thead><tbody>${tasks.map(buildRow).join("")}</tbody></table></div>` : '<p class="small muted" style="padding:0 16px 12px">Original and compressed model are timed in turns on a device of yours. What comes out also improves the predictions for that device.</p>'}
      ${buttons.length ? `<div class="row tight no-print" style="padding:12px 16px">${buttons.join(" ")}</div>` : ""}`;
  }

  async #clicked({ target }) {
    const { device, stop } = target.closest("button")?.dataset ?? {};
    if (!device && !stop) return;
    this.#fault = "";
    try {
      await (stop ? post(`/api/device-tasks/${stop}/cancel`) : post(`${this.#url}/${device}`));
    } catch (error) {
      this.#fault = error.message;
    }
    await this.#look();
  }
}

customElements.define("device-measurements", DeviceMeasurements);
