// Blocks of the recipe strip: one a layer while there is room, else neighbours that take least time share one.

/** Runs of neighbouring layers, at most `most` of them: [{names, ms}]. layers: [{name, ms}] in model order. */
export function blocksOf(layers, most) {
  const runs = layers.map((layer) => ({ names: [layer.name], ms: layer.ms }));
  while (runs.length > Math.max(1, most)) {
    let at = 0;
    for (let i = 1; i + 1 < runs.length; i += 1) {
      if (runs[i].ms + runs[i + 1].ms < runs[at].ms + runs[at + 1].ms) at = i;
    }
    const [left, right] = runs.slice(at, at + 2);
    runs.splice(at, 2, { names: [...left.names, ...right.names], ms: left.ms + right.ms });
  }
  return runs;
}

/** The same for tiles of blocks that look and read alike. */
export const keyOfTile = ({ technique, level, stored, alike, ms }) => [technique, level, stored, alike, ms].join("|");

/**
 * What a block shows of its layers' tiles [{technique, level, stored, ms, unsupported}]: the treatment that most
 * of them share, the time of all, and of how many layers that is said.
 */
export function tileOfBlock(tiles) {
  if (tiles.length === 1) return { ...tiles[0], level: tiles[0].level ?? "", layers: 1 };
  const counts = new Map();
  for (const tile of tiles) counts.set(tile.technique, (counts.get(tile.technique) ?? 0) + 1);
  const [[technique, count]] = [...counts].sort((a, b) => b[1] - a[1]);
  const shown = tiles.find((tile) => tile.technique === technique);
  const ms = tiles.some((tile) => tile.ms === null) ? null : tiles.reduce((sum, tile) => sum + tile.ms, 0);
  return { technique, level: "", stored: shown.stored, ms, unsupported: tiles.every((tile) => tile.unsupported), layers: tiles.length, alike: count === tiles.length };
}
