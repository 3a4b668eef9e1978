// Which slot a dropped file belongs to, told from its first bytes. The server decides in the end;
// this only saves the user from sorting files by hand.

const startsWith = (head, ...wanted) => wanted.every((byte, i) => head[i] === byte);

/** "model" or "data" for the first bytes and the name of a file. */
export function slotOf(head, name = "") {
  const suffix = name.toLowerCase().split(".").pop();
  if (["pt", "pth", "pt2", "onnx", "safetensors", "h5", "pb", "tflite", "pkl"].includes(suffix)) return "model";
  if (["npz", "zip", "npy", "csv"].includes(suffix)) return "data";
  return startsWith(head, 0x50, 0x4b) ? "data" : "model";
}
