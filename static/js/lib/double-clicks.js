// The second click of a double click falls on whatever the first has put there: where a button asked, there may be a
// link that leads away by now. A link is followed only by clicks that began on it.
const hrefAt = (node) => node.closest?.("a[href]")?.getAttribute("href") ?? null;

export function keepDoubleClicks(root) {
  let began = null;
  root.addEventListener("click", (event) => {
    const href = hrefAt(event.target);
    if (event.detail < 2) began = href;
    else if (href !== null && href !== began) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, { capture: true });
}
