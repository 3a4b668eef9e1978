// The line under the bar while the connection is lost. It leaves by itself; nothing on the page is cleared.
import { clock } from "./format.js";

const DISABLE = "[data-needs-server]";

/* What had the focus when it was disabled, which takes the focus away. */
let held = null;

/** Shows or hides the banner and disables what needs the server, with the sentence as the reason. */
export function showConnection(state) {
  const banner = document.getElementById("lost");
  if (!banner) return;
  const lost = state === "lost";
  if (banner.dataset.state === state) return;
  banner.dataset.state = state;
  if (lost) banner.textContent = `Connection lost. Numbers are as of ${clock(Date.now() / 1000).slice(0, 5)}; trying again.`;
  if (state === "polling") banner.textContent = "Live updates are off; this page asks the server every three seconds.";
  banner.hidden = state === "open";
  if (lost) held = document.activeElement;
  for (const control of document.querySelectorAll(DISABLE)) {
    control.toggleAttribute("data-lost", lost);
    control.setAttribute("aria-describedby", lost ? "lost" : "");
    control.disabled = lost || control.hasAttribute("data-off");
  }
  if (lost) return;
  if (document.activeElement === document.body && held?.isConnected) held.focus();
  held = null;
}
