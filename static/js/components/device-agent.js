// Connecting a device by its agent: the command with its token, shown once; then state, tasks and what to do.
import { get, post, quietly, remove } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { $, escape } from "../lib/dom.js";
import { factsText, isNewlyDone, statePill, taskLine } from "../lib/device-tasks.js";
import { ago } from "../lib/format.js";
import { note } from "../lib/markup.js";

const LOOK_EVERY_MS = 3000;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

class DeviceAgent extends HTMLElement {
  #agent = null;
  #commands = [];
  #fault = "";
  #timer = 0;

  connectedCallback() {
    this.addEventListener("click", (event) => this.#clicked(event));
    this.#look();
    this.#timer = setInterval(() => document.hidden || this.#look(), LOOK_EVERY_MS);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  get #url() {
    return `/api/own-devices/${this.dataset.device}`;
  }

  #look() {
    return quietly(get(`${this.#url}/agent`).then((agent) => this.#show(agent)));
  }

  #show(agent) {
    // Drawn again only when something changed: a button must not vanish under the finger.
    if (JSON.stringify(agent) === JSON.stringify(this.#agent)) return;
    const before = this.#agent;
    this.#agent = agent;
    if (agent.state === "idle" || agent.state === "busy") this.#commands = [];
    if (isNewlyDone(before, agent)) this.dispatchEvent(new CustomEvent("measured", { bubbles: true }));
    this.#draw();
  }

  #draw() {
    const { state, tasks, facts, seen } = this.#agent;
    const words = [state === "offline" && seen && `Seen ${ago(seen)}.`, factsText(facts)].filter(Boolean).join(" ");
    this.innerHTML = `<div class="stack close"><div class="row tight">${statePill(this.#agent)}<span class="small muted">${escape(words)}</span></div>
      ${this.#fault ? note("bad", `<p>${escape(this.#fault)}</p>`) : ""}${this.#commandsHtml()}
      <div class="row tight">${this.#buttons()}</div></div>
      ${tasks.length ? `<div class="table-wrap" style="margin-top:16px"><table class="as-cards"><caption class="sr">What the device measured</caption><thead><tr><th>Task</th><th>State</th><th>What came of it</th><th class="n">When</th></tr></thead><tbody>${tasks.map(taskLine).join("")}</tbody></table></div>` : ""}`;
  }

  #buttons() {
    const { state } = this.#agent;
    const button = (action, text, look = "") => `<button type="button" class="btn ${look}" data-action="${action}" data-needs-server>${text}</button>`;
    if (state === "none") return button("connect", "Connect by agent", "primary");
    const main = button("calibrate", "Calibrate now", state === "idle" ? "primary" : "");
    return [main, button("connect", "New token"), button("disconnect", "Disconnect", "quiet danger")].join("");
  }

  #commandsHtml() {
    if (!this.#commands.length) return "";
    const lines = this.#commands.map((line) => `<div class="row tight"><pre class="snippet grow" tabindex="0" style="min-width:0">${escape(line)}</pre><button type="button" class="btn" data-copy="${escape(line)}">Copy</button></div>`);
    return `<div class="stack close"><p class="small">On the device, with Python 3.9 or newer and <code>pip install numpy onnxruntime</code>. The token is shown this once; it opens nothing but the measuring tasks of this device.${LOOPBACK.includes(location.hostname) ? " This address is reached from this machine alone: for another one, start AdaDeep with <code>--host</code> and open the page by that address." : ""}</p>${lines.join("")}</div>`;
  }

  async #clicked({ target }) {
    const { action, copy, stop } = target.closest("button")?.dataset ?? {};
    if (copy) {
      await copyText(copy);
      target.textContent = "Copied";
    } else if (stop) await this.#try(() => post(`/api/device-tasks/${stop}/cancel`));
    else if (action) await this.#try(() => this.#act(action));
  }

  async #act(action) {
    if (action === "calibrate") return post(`${this.#url}/calibrate`);
    const agent = await (action === "connect" ? post(`${this.#url}/agent`) : remove(`${this.#url}/agent`));
    this.#commands = agent.commands;
  }

  async #try(work) {
    this.#fault = "";
    try {
      await work();
    } catch (error) {
      this.#fault = error.message;
    }
    this.#agent = await get(`${this.#url}/agent`).catch(() => this.#agent);
    this.#draw();
    $("button", this)?.focus();
  }
}

customElements.define("device-agent", DeviceAgent);
