// A candidate in memory is plain numbers; the studio's bands make of it what the server's answers are:
// each value with the ends of its band and its label.

const SIZE_BAND = [0.97, 1.03]; // names and attributes in the file vary a little with the recipe

const estimate = (value, [low, high], label) => ({ value, low: value * low, high: value * high, label });

/** {accuracy_drop_points, latency_ms, energy_mj, size_bytes} as estimates. */
export function predictionOf(candidate, bands) {
  const labels = bands.labels ?? {};
  const points = bands.accuracy_points ?? 0;
  return {
    accuracy_drop_points: {
      value: candidate.drop_points,
      low: candidate.drop_points - points,
      high: candidate.drop_points + points,
      label: labels.accuracy ?? "rough",
    },
    latency_ms: estimate(candidate.latency_ms, bands.latency ?? [1, 1], labels.latency ?? "rough"),
    energy_mj: estimate(candidate.energy_mj, bands.energy ?? [1, 1], labels.energy ?? "rough"),
    size_bytes: estimate(candidate.size_bytes, bands.size ?? SIZE_BAND, labels.size ?? "calibrated"),
  };
}
