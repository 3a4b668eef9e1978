// A model's layers as its own page tells them. Numbers and words only.

/** Layers with a row of their own: the others (activations, reshapes) cost nothing by themselves. */
export const hasOwnRow = (layer) => layer.is_priced || layer.kind !== "other" || Boolean(layer.untouched);

/** "3 other operations (2 relu, 1 flatten) cost nothing of their own."; empty where there are none. */
export function leftOutText(layers) {
  const others = layers.filter((layer) => !hasOwnRow(layer));
  if (!others.length) return "";
  const counts = new Map();
  for (const { text } of others) counts.set(text, (counts.get(text) ?? 0) + 1);
  const named = [...counts].map(([text, count]) => `${count} ${text}`).join(", ");
  return others.length === 1 ? `One other operation (${others[0].text}) costs nothing of its own.` : `${others.length} other operations (${named}) cost nothing of their own.`;
}

/** The sum of the times, or null as long as one of them is not known. */
export function totalMs(layers) {
  return layers.every((layer) => typeof layer.ms === "number") ? layers.reduce((sum, layer) => sum + layer.ms, 0) : null;
}

/** "11 of 16 techniques fit", or why no technique looks at it. */
export function fitText(layer, names) {
  if (layer.untouched) return "none";
  const count = names.filter((name) => layer.applicable?.[name] === true).length;
  return count ? `${count} of ${names.length} fit` : "none fits";
}

/** The rows sorted by a column; those whose value is not known come last. */
export function sorted(layers, key, down) {
  const sign = down ? -1 : 1;
  const value = (layer) => (key === "order" ? layer.order : layer[key]);
  return [...layers].sort((a, b) => (value(a) === null) - (value(b) === null) || sign * (value(a) - value(b)) || a.order - b.order);
}
