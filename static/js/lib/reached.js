// What a finished build reached, in one line: "1.15× faster, 11.4× smaller, −0.3 pt".
import { measuredRatio, signed } from "./format.js";

export function reachedText({ latency_ratio: speed, size_ratio: size, accuracy_points: points }) {
  const faster = speed && (speed >= 1 ? `${measuredRatio(speed)} faster` : `${measuredRatio(1 / speed)} slower`);
  const smaller = size && (size >= 1 ? `${measuredRatio(size)} smaller` : `${measuredRatio(1 / size)} larger`);
  return [faster, smaller, `${signed(points ?? 0)} pt`].filter(Boolean).join(", ");
}
