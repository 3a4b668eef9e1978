// What "accuracy" is where there are no labels, or no data: every place that shows it says so.

/** Whether a kind of accuracy is agreement with the original rather than the share of right answers. */
export const isAgreement = (kind) => Boolean(kind) && kind !== "accuracy";

/** "Accuracy", "Agreement with the original of positions on synthetic inputs", … */
export function accuracyTitle(side) {
  const words = side.accuracy_words ?? side.accuracy_kind.replaceAll("_", " ");
  const full = words.replace("agreement", "agreement with the original");
  return full.charAt(0).toUpperCase() + full.slice(1);
}
