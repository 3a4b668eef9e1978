// A network's layers as the graph tells them: what the model says of each, and what the recipe makes of it.

const NUMBERS = ["params", "macs", "ms"];

/**
 * A row for each layer that is shown, in the model's order; what the recipe does not name stays as it is. A layer that
 * is not shown, such as a reshape, is passed over: its readers read what it reads.
 */
export function networkRows(all, shown, rows) {
  const made = new Map(rows.map((row) => [row.layer, row]));
  const sourcesOf = sources(all, new Set(shown.map((layer) => layer.name)));
  return shown.map((layer) => {
    const row = made.get(layer.name) ?? {};
    const { name, text, shape } = layer;
    return { layer: name, text, shape, reads: sourcesOf.get(name), technique: "keep", level: "", ...numbers(layer, row), ...row };
  });
}

/* Until the policy tells what comes of a layer, a treated one has no numbers after. */
function numbers(layer, { technique = "keep" }) {
  const whens = technique === "keep" ? ["before", "after"] : ["before"];
  return Object.fromEntries(NUMBERS.flatMap((name) => whens.map((when) => [`${name}_${when}`, layer[name]])));
}

/* For each layer the shown ones that it reads, in order: layers come after what they read. */
function sources(all, shown) {
  const found = new Map();
  for (const { name, reads = [] } of all) {
    const through = reads.flatMap((source) => (shown.has(source) ? [source] : (found.get(source) ?? [])));
    found.set(name, [...new Set(through)]);
  }
  return found;
}
