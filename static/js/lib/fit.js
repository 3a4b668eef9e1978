// Which technique fits which layer, as the map and its line of words tell it.

/** The columns: what may be done to a single layer, in the server's order. */
export const columnsOf = (techniques) => Object.keys(techniques).filter((name) => techniques[name].scope !== "network");

/** "8-bit integers and Weight clustering are for all weights at once."; nothing where none is offered. */
export function wholeNetworkText(techniques) {
  const titles = Object.values(techniques).filter(({ scope }) => scope === "network").map(({ title }) => title);
  if (!titles.length) return "";
  const [last, ...others] = titles.reverse();
  return others.length ? `${others.reverse().join(", ")} and ${last} are for all weights at once.` : `${last} is for all weights at once.`;
}

/** "Fire module on fc1: only convolutions can be squeezed and expanded." */
export function fitWords(layer, title, fits) {
  if (fits === true) return `${title} fits ${layer}.`;
  return `${title} on ${layer}: ${fits || "not offered."}`;
}

/** How many of the layers that hold weights can be treated at all: the map in one sentence. */
export function fitSummary(layers, columns) {
  const weighty = layers.filter((layer) => layer.kind !== "other");
  const treated = weighty.filter((layer) => columns.some((name) => layer.applicable?.[name] === true));
  const what = weighty.length === 1 ? "layer with weights" : "layers with weights";
  return `${treated.length} of ${weighty.length} ${what} can be treated.`;
}
