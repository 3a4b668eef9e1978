// The log: appended line by line, follows only while it is at its end, can be filtered and paused.
import { escape } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { stageName } from "../lib/states.js";

const AT_END_PX = 24;

class LogView extends HTMLElement {
  connectedCallback() {
    this.lines ??= [];
    this.query = "";
    this.paused = false;
    this.render();
  }

  /** lines: [{t, stage, text, level}]. */
  append(lines) {
    if (!lines.length) return;
    const start = this.lines.length;
    this.lines.push(...lines);
    if (this.paused) return;
    if (!start || this.query) return this.render();
    const follow = this.atEnd;
    this.insertAdjacentHTML("beforeend", lines.map(lineMarkup).join(""));
    if (follow) this.scrollTop = this.scrollHeight;
  }

  set filter(query) {
    this.query = query.trim().toLowerCase();
    this.render();
  }

  /** A paused log keeps what arrives and shows it when it goes on. */
  set pause(on) {
    this.paused = on;
    this.setAttribute("aria-live", on ? "off" : "polite");
    if (!on) this.render();
  }

  get text() {
    return this.lines.map((line) => `${clock(line.t)} ${stageName(line.stage)}: ${line.text}`).join("\n") + "\n";
  }

  get atEnd() {
    return this.scrollHeight - this.scrollTop - this.clientHeight < AT_END_PX;
  }

  render() {
    const follow = this.atEnd || !this.scrollTop;
    const hits = this.lines.filter((line) => `${stageName(line.stage)} ${line.text}`.toLowerCase().includes(this.query));
    const empty = this.lines.length ? `No line contains “${escape(this.query)}”.` : "Nothing has happened yet.";
    this.innerHTML = hits.map(lineMarkup).join("") || `<span class="muted">${empty}</span>`;
    if (follow) this.scrollTop = this.scrollHeight;
  }
}

const lineMarkup = ({ t, stage, text, level }) => `<div${level && level !== "info" ? ` class="${escape(level)}"` : ""}><time>${clock(t)}</time><b>${escape(stageName(stage))}</b>${escape(text)}</div>`;

customElements.define("log-view", LogView);
