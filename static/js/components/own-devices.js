// A user's own devices: rename, share and delete in place. Emits "device-save" {id, values} and
// "device-delete" {id}; the page asks the server.
import { statePill } from "../lib/device-tasks.js";
import { escape } from "../lib/dom.js";
import { bandText } from "../lib/evidence.js";
import { ago } from "../lib/format.js";
import { badge } from "../lib/markup.js";

const EMPTY = '<div class="empty" style="margin-bottom:16px"><b style="color:var(--ink)">No device of your own yet</b><span>Measure one: its figures are then yours, and it stands first wherever a target is chosen.</span></div>';
const evidence = (row) => (row.label ? badge(row.label, `${row.label} ${bandText(...row.band)}`) : '<span class="muted small">not measured yet</span>');
const when = (row) => (row.measured ? `<time datetime="${escape(row.measured)}">${ago(row.measured)}</time>` : "");

export class OwnDevices {
  constructor(node) {
    this.node = node;
    this.open = null;
    this.message = "";
    node.addEventListener("click", (event) => this.clicked(event));
    node.addEventListener("change", (event) => event.target.matches("[data-share]") && this.emit("device-save", { id: event.target.dataset.share, values: { shared: event.target.checked } }));
    node.addEventListener("submit", (event) => this.submitted(event));
    node.addEventListener("keydown", (event) => event.key === "Escape" && this.open && this.ask(null));
  }

  /** rows: as /api/own-devices tells them. */
  set devices(rows) {
    this.rows = rows;
    this.render();
  }

  set error(message) {
    this.message = message;
    this.render();
  }

  render() {
    const fault = this.message ? `<p class="note bad" role="alert" style="margin-bottom:12px">${escape(this.message)}</p>` : "";
    if (!this.rows.length) {
      this.node.innerHTML = fault + EMPTY;
      return;
    }
    this.node.innerHTML = `${fault}<div class="table-wrap"><table class="as-cards"><caption class="sr">Your devices</caption><thead><tr><th>Device</th><th>Latency, 9 of 10 within</th><th>Measured</th><th>Shared</th><th><span class="sr">Actions</span></th></tr></thead>
      <tbody>${this.rows.map((row) => this.line(row)).join("")}</tbody></table></div>`;
  }

  line(row) {
    if (this.open?.id === row.id) return this.open.what === "delete" ? this.question(row) : this.form(row);
    const threads = row.threads === 1 ? "one thread" : `${row.threads} threads`;
    return `<tr><td class="full"><a class="strong plain-link wrap-anywhere" href="${escape(row.url)}">${escape(row.title)}</a><br><span class="small muted">started from ${escape(row.prior_title)} · ${escape(row.runtime)}, ${threads}, ${escape(row.arithmetic)}</span>${row.agent ? `<br>${statePill(row.agent)}` : ""}</td>
      <td class="full">${evidence(row)}</td><td class="small nowrap">${when(row)}</td>${row.mine ? this.controls(row) : `<td class="small full" colspan="2">shared by ${escape(row.owner)}</td>`}</tr>`;
  }

  controls(row) {
    const button = (what, text, look) => `<button type="button" class="btn quiet ${look}" data-ask="${what}" data-id="${row.id}" aria-label="${text} ${escape(row.title)}">${text}</button>`;
    return `<td><label class="check"><input type="checkbox" role="switch" data-share="${row.id}"${row.shared ? " checked" : ""} aria-label="Share ${escape(row.title)} with everybody who has an account here"><span class="small phone-only">Shared</span></label></td>
      <td class="n full nowrap">${button("rename", "Rename", "")}${button("delete", "Delete", "danger")}</td>`;
  }

  question(row) {
    const count = row.measurements ? ` and ${row.measurements} measurement${row.measurements === 1 ? "" : "s"}` : "";
    return `<tr class="asking"><td colspan="4" class="full">Delete <b>${escape(row.title)}</b>${count}? Builds made for it keep its profile.</td><td class="n full nowrap"><button type="button" class="btn danger" data-delete="${row.id}">Delete</button> <button type="button" class="btn" data-keep>Keep</button></td></tr>`;
  }

  form(row) {
    return `<tr><td colspan="5" class="full"><form class="row" data-rename="${row.id}"><label class="sr" for="new-title">New name of ${escape(row.title)}</label><input class="input grow" id="new-title" name="title" maxlength="100" required value="${escape(row.title)}" autocomplete="off"><button class="btn primary">Save</button><button type="button" class="btn" data-keep>Cancel</button></form></td></tr>`;
  }

  /** Opens a question or a form in a row; null closes it and gives the focus back. */
  ask(open) {
    const before = this.open;
    this.open = open;
    this.message = "";
    this.render();
    const next = open ? this.node.querySelector("#new-title, [data-keep]") : this.node.querySelector(`[data-ask="${before?.what}"][data-id="${before?.id}"]`);
    next?.focus();
  }

  clicked(event) {
    const { ask, id, delete: gone, keep } = event.target.closest("button")?.dataset ?? {};
    if (ask) this.ask({ what: ask, id });
    if (keep !== undefined) this.ask(null);
    if (gone) this.emit("device-delete", { id: gone });
  }

  submitted(event) {
    event.preventDefault();
    const { rename } = event.target.dataset;
    if (rename) this.emit("device-save", { id: rename, values: { title: event.target.elements.title.value } });
  }

  emit(type, detail) {
    this.node.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
