// A question mark that explains a word of the page: one of lib/terms.js (the attribute "term"), or its own text about something.
// Pointer, focus or a tap shows it; Escape, or leaving, hides it.
import { escape } from "../lib/dom.js";
import { TERMS } from "../lib/terms.js";

const EDGE_PX = 8;
let known = 0;

class HelpNote extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    const { title, text } = TERMS[this.getAttribute("term")] ?? { title: this.getAttribute("about"), text: this.textContent };
    known += 1;
    this.innerHTML = `<button type="button" class="help" data-key="about:${escape(title)}" aria-label="About ${escape(title)}" aria-describedby="help-${known}">?</button><span class="help-text" role="tooltip" id="help-${known}" popover="manual">${escape(text)}</span>`;
    [this.button, this.bubble] = this.children;
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.show(true));
    for (const type of ["pointerleave", "focusout"]) this.addEventListener(type, () => this.show(this.matches(":hover") && type === "focusout"));
    this.button.addEventListener("click", () => this.show(true));
    this.addEventListener("keydown", (event) => event.key === "Escape" && this.show(false));
    // Coming by the Tab key scrolls the page, too: then the words stay with their mark.
    this.scrolled = () => (this.button.matches(":focus-visible") ? this.place() : this.show(false));
  }

  show(on) {
    if (on === this.bubble.matches(":popover-open")) return;
    this.bubble.togglePopover(on);
    if (on) this.place();
    // Heard only meanwhile: a page may make marks anew at every move of a slider.
    (on ? addEventListener : removeEventListener)("scroll", this.scrolled, { passive: true, capture: true });
  }

  /* Below the mark, inside the window. */
  place() {
    const { left, bottom, top } = this.button.getBoundingClientRect();
    const { width, height } = this.bubble.getBoundingClientRect();
    const x = Math.max(EDGE_PX, Math.min(left - EDGE_PX, innerWidth - width - EDGE_PX));
    const y = bottom + height + EDGE_PX > innerHeight ? top - height - 2 : bottom + 2;
    Object.assign(this.bubble.style, { left: `${x}px`, top: `${y}px` });
  }
}
customElements.define("help-note", HelpNote);
