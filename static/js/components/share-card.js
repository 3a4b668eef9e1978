// The links by which others read a report: create, copy, revoke.
import { get, post, remove } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { $, escape } from "../lib/dom.js";

const until = (iso) => new Date(iso).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export class ShareCard {
  constructor(job, spoken) {
    this.api = `/api/jobs/${job}/shares`;
    this.card = $("#share-card");
    this.spoken = spoken;
    this.button = $("#share-open");
    this.button.addEventListener("click", () => this.toggle());
    $("#share-form").addEventListener("submit", (event) => this.create(event));
    $("#share-list").addEventListener("click", (event) => this.clicked(event.target.closest("button")));
  }

  async toggle() {
    const open = this.card.hidden;
    this.card.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) await this.tried(this.load());
  }

  async load() {
    const { shares, note } = await get(this.api);
    $("#share-note").hidden = !note;
    $("#share-note > :last-child").textContent = note;
    $("#share-list").innerHTML = shares.map((share) => this.row(share)).join("");
  }

  row({ id, url, expires, with_files: files }) {
    const address = new URL(url, location.href).href;
    return `<li class="row tight"><code class="grow wrap-anywhere small">${escape(address)}</code><span class="small muted nowrap">until ${until(expires)}${files ? ", with files" : ""}</span>
      <button type="button" class="btn mini" data-copy-link="${escape(address)}">Copy</button><button type="button" class="btn mini danger" data-revoke="${id}">Revoke</button></li>`;
  }

  async create(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    const made = post(this.api, { days: Number(form.get("days")), with_files: form.has("with_files") });
    await this.tried(made.then(() => this.load()).then(() => this.spoken("Link created")));
  }

  async clicked(button) {
    const { copyLink, revoke } = button?.dataset ?? {};
    if (copyLink) {
      await copyText(copyLink);
      this.spoken("Link copied");
    }
    if (revoke) await this.tried(remove(`${this.api}/${revoke}`).then(() => this.load()).then(() => this.spoken("Link revoked")));
  }

  async tried(promise) {
    const error = $("#share-error");
    error.hidden = true;
    await promise.catch((problem) => {
      error.textContent = problem.message;
      error.hidden = false;
    });
  }
}
