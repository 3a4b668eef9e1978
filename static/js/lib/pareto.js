// The candidates that no other beats on both accuracy and one cost, cheapest first.
export function paretoFront(candidates, field) {
  let best = Infinity;
  return [...candidates]
    .sort((a, b) => a[field] - b[field] || a.drop_points - b.drop_points)
    .filter((candidate) => {
      if (candidate.drop_points >= best) return false;
      best = candidate.drop_points;
      return true;
    });
}
