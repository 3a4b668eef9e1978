// Open on your phone: asks for a link on demand, shows it as a QR code and in words. The link is good once.
import { post } from "../lib/api.js";
import { escape } from "../lib/dom.js";

const HTTPS = "Over plain HTTP a phone's browser gives one thread and a coarser clock. With HTTPS, by a proxy in front of AdaDeep, it gives threads too.";

class PhoneLink extends HTMLElement {
  /** phone: {reachable, how, url}. */
  set phone(phone) {
    this.url = phone.url;
    this.innerHTML = phone.reachable
      ? '<button type="button" class="btn">Show a code</button><div class="shown" aria-live="polite"></div>'
      : `<p class="small">${escape(phone.how).replace(/(AUTH_MODE.*)$/, '<br><code class="wrap-anywhere">$1</code>')}</p>`;
    this.insertAdjacentHTML("beforeend", `<p class="tiny muted">${HTTPS}</p>`);
    this.querySelector("button")?.addEventListener("click", () => this.ask());
  }

  async ask() {
    const shown = this.querySelector(".shown");
    try {
      this.links = (await post(this.url)).links;
      const choice = this.links.length > 1 ? `<label class="small">Address of this server <select class="select">${this.links.map((link, i) => `<option value="${i}">${escape(link.address)}</option>`).join("")}</select></label>` : "";
      shown.innerHTML = `<div class="qr-slot"></div>${choice}<p class="tiny wrap-anywhere mono"></p><p class="tiny muted">Good once, for ten minutes. The phone may then measure itself for you, for an hour, and see nothing else of yours.</p>`;
      shown.querySelector("select")?.addEventListener("change", (event) => this.show(event.target.value));
      this.show(0);
      this.querySelector("button").textContent = "Show another code";
    } catch (error) {
      shown.innerHTML = `<p class="small bad" role="alert">${escape(error.message)}</p>`;
    }
  }

  show(index) {
    const { url, qr } = this.links[index];
    const slot = this.querySelector(".qr-slot");
    slot.innerHTML = qr;
    slot.firstElementChild.setAttribute("role", "img");
    slot.firstElementChild.setAttribute("aria-label", `QR code of ${url}`);
    this.querySelector(".mono").textContent = url;
  }
}
customElements.define("phone-link", PhoneLink);
