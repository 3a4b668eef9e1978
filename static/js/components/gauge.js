// A gauge: number, word and arc. 0–49 low, 50–89 fair, 90–100 high.
import { escape } from "../lib/dom.js";

const RADIUS = 42;
const TURN = 2 * Math.PI * RADIUS;

export const gradeOf = (score) => (score >= 90 ? ["good", "high"] : score >= 50 ? ["warn", "fair"] : ["bad", "low"]);

/** score 0–100, or null where the share is not known; then the result stands alone. */
export function gauge(title, score, detail) {
  if (score === null) return `<div class="gauge"><p class="bignum">${escape(detail.split(",")[0])}</p><h3>${escape(title)}</h3><p class="small muted">${escape(detail)}</p></div>`;
  const shown = Math.round(Math.max(0, Math.min(100, score)));
  const [tone, word] = gradeOf(shown);
  return `<div class="gauge"><svg class="${tone}" width="108" height="108" viewBox="0 0 108 108" role="img" aria-label="${escape(title)}: ${shown} of 100, ${word}"><circle class="track" cx="54" cy="54" r="${RADIUS}" fill="none" stroke-width="9"/><circle class="arc" cx="54" cy="54" r="${RADIUS}" fill="none" stroke-width="9" stroke-dasharray="${((TURN * shown) / 100).toFixed(1)} ${TURN.toFixed(1)}" transform="rotate(-90 54 54)"/><text x="54" y="63" text-anchor="middle">${shown}</text></svg>
    <h3>${escape(title)} <span class="pill ${tone}">${word}</span></h3><p class="small muted">${escape(detail)}</p></div>`;
}
