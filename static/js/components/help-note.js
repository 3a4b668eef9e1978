// A question mark that explains a word of the page. Pointer, focus or a tap shows it; Escape, or leaving, hides it.
import { TERMS } from "../lib/terms.js";

const EDGE_PX = 8;

class HelpNote extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    const term = this.getAttribute("term");
    const { title, text } = TERMS[term];
    this.innerHTML = `<button type="button" class="help" aria-label="About ${title}" aria-describedby="help-${term}">?</button><span class="help-text" role="tooltip" id="help-${term}" popover="manual">${text}</span>`;
    [this.button, this.bubble] = this.children;
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.show(true));
    for (const type of ["pointerleave", "focusout"]) this.addEventListener(type, () => this.show(this.matches(":hover") && type === "focusout"));
    this.button.addEventListener("click", () => this.show(true));
    this.addEventListener("keydown", (event) => event.key === "Escape" && this.show(false));
    addEventListener("scroll", () => this.show(false), { passive: true, capture: true });
  }

  show(on) {
    if (on === this.bubble.matches(":popover-open")) return;
    this.bubble.togglePopover(on);
    if (on) this.place();
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
