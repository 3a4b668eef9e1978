// A candidate in memory is plain numbers, with the ends of its bands where the server told them; the device's bands
// stand in where it did not. Together they are what the server's answers are: values with ends and labels.

const SIZE_BAND = [0.97, 1.03]; // names and attributes in the file vary a little with the recipe

const known = (value, [low, high], label) => ({ value, low, high, label });
const around = (value, [low, high]) => [value * low, value * high];

/** {accuracy_drop_points, latency_ms, energy_mj, size_bytes} as estimates; what a candidate that was built lost is measured. */
export function predictionOf({ drop_points: drop, latency_ms: latency, energy_mj: energy, size_bytes: size, ends = {}, validated }, bands) {
  const labels = bands.labels ?? {};
  const points = validated ? "measured" : (labels.accuracy ?? "rough");
  return {
    accuracy_drop_points: known(drop, ends.drop_points ?? [drop, drop], points),
    latency_ms: known(latency, ends.latency_ms ?? around(latency, bands.latency ?? [1, 1]), labels.latency ?? "rough"),
    energy_mj: known(energy, ends.energy_mj ?? around(energy, bands.energy ?? [1, 1]), labels.energy ?? "rough"),
    size_bytes: known(size, ends.size_bytes ?? around(size, bands.size ?? SIZE_BAND), labels.size ?? "calibrated"),
  };
}
