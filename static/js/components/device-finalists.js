// The studio's card of a connected device: it times the best candidates that the study has built.
import { get, post, quietly } from "../lib/api.js";
import { escape } from "../lib/dom.js";
import { finalistRow, finalistsText, isNewlyDone, statePill, taskPill, taskText } from "../lib/device-tasks.js";
import { note } from "../lib/markup.js";

const LOOK_EVERY_MS = 3000;

class DeviceFinalists extends HTMLElement {
  #asked = "";
  #url = "";
  #found = null;
  #shown = "";
  #fault = "";
  #timer = 0;

  connectedCallback() {
    this.addEventListener("click", (event) => this.#clicked(event));
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  /** The chosen target and the job of the study; the card is there for connected devices of one's own alone. */
  async show(target, study) {
    const asked = target.startsWith("own-") && study ? `${target} ${study}` : "";
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#url = "";
    this.#found = null;
    this.#fault = "";
    this.closest("section").hidden = true;
    if (!asked) return;
    const known = await quietly(get("/api/connected-devices"));
    const device = known?.devices.find(({ key }) => key === target);
    if (!device || this.#asked !== asked) return;
    this.#url = `/api/jobs/${study}/finalists/${device.id}`;
    await this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    const url = this.#url;
    if (!url) return;
    const found = document.hidden ? null : await quietly(get(url));
    if (url !== this.#url) return;
    if (found) this.#take(found);
    if (!found || found.device.state !== "none") this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }

  #take(found) {
    const shown = JSON.stringify([found, this.#fault]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const tasksOf = (state) => ({ tasks: state?.task ? [state.task] : [] });
    const measured = this.#found && isNewlyDone(tasksOf(this.#found), tasksOf(found));
    this.#found = found;
    this.#draw();
    if (measured) this.dispatchEvent(new CustomEvent("measured", { bubbles: true }));
  }

  #draw() {
    const { device, count, task, rows } = this.#found;
    this.closest("section").hidden = device.state === "none" || !(count || task);
    const stop = task?.is_open ? `<button type="button" class="btn quiet mini" data-stop="${escape(task.id)}">Stop</button>` : "";
    const ask = task?.is_open || !count ? "" : `<button type="button" class="btn" data-ask data-needs-server>Time ${count} candidate${count === 1 ? "" : "s"} on ${escape(device.title)}</button>`;
    this.innerHTML = `<div class="row spread card-head"><h2>Built candidates on ${escape(device.title)}</h2><div class="row tight no-print">${statePill(device)}${ask}</div></div>
      ${this.#fault ? note("bad", `<p>${escape(this.#fault)}</p>`) : ""}
      <p class="small muted" role="status">${task ? `${taskPill(task)} ${stop} ${escape(taskText(task))} ${escape(finalistsText(rows))}` : "The device times the original and the candidates that were built so far, in turns. Its predictions learn from that."}</p>
      ${rows.length ? `<div class="table-wrap"><table class="as-cards"><caption class="sr">Predicted and measured milliseconds on the device</caption><thead><tr><th>Network</th><th class="n">Predicted before</th><th class="n">Measured, p10–p90</th><th>Inside the band</th></tr></thead><tbody>${rows.map(finalistRow).join("")}</tbody></table></div>` : ""}`;
  }

  async #clicked({ target }) {
    const { ask, stop } = target.closest("button")?.dataset ?? {};
    if (ask === undefined && !stop) return;
    this.#fault = "";
    try {
      await (stop ? post(`/api/device-tasks/${stop}/cancel`) : post(this.#url));
    } catch (error) {
      this.#fault = error.message;
    }
    await this.#look();
  }
}

customElements.define("device-finalists", DeviceFinalists);
