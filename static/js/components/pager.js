// Turning the pages of a long table: a deep network's rows come a hundred at a time, as all at once would take
// longer than a frame.
import { $, setText } from "../lib/dom.js";

export const PAGE_ROWS = 100;

/** Below a table; calls back with -1 or 1. */
export function pagerBelow(wrap, onTurn) {
  const pager = document.createElement("nav");
  pager.className = "pager row no-print";
  pager.setAttribute("aria-label", "More layers");
  pager.innerHTML = '<button type="button" class="btn quiet" value="-1">Earlier</button><span class="small muted"></span><button type="button" class="btn quiet" value="1">Later</button>';
  pager.hidden = true;
  pager.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) onTurn(Number(button.value));
  });
  wrap.after(pager);
  return pager;
}

/** Rows from + 1 to from + shown of all; hidden where one page holds them. */
export function showPager(pager, { from, shown, all }) {
  pager.hidden = all <= PAGE_ROWS;
  setText($("span", pager), `Layers ${from + 1}–${from + shown} of ${all}`);
  $('[value="-1"]', pager).disabled = from === 0;
  $('[value="1"]', pager).disabled = from + PAGE_ROWS >= all;
}
