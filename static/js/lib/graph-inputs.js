// What a graph is fed while it is timed: numbers that are neither all zero nor random, the same each time.
const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, int8: Int8Array, bool: Uint8Array };
const LARGEST = 1 << 28;

/** metadata: the runtime's inputs. Gives {name, type, data, dims}; an open dimension is one. */
export const inputsOf = (metadata) => metadata.map(inputOf);

function inputOf({ name, type, shape }) {
  const Kind = ARRAYS[type];
  if (!Kind) throw new Error(`The input ${name} holds ${type}, which is not timed in a browser.`);
  const dims = shape.map((size) => (typeof size === "number" && size > 0 ? size : 1));
  const length = dims.reduce((product, size) => product * size, 1);
  if (length > LARGEST) throw new Error(`The input ${name} is too large for a browser.`);
  const data = new Kind(length);
  // Whole numbers stay zero: they may be places in a table, and zero is always there.
  if (type.startsWith("float")) for (let i = 0; i < length; i += 1) data[i] = ((i * 7919) % 1000) / 500 - 1;
  return { name, type, data, dims };
}
