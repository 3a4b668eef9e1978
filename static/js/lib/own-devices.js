// What pages do when a user renames, shares or deletes a device in its list.
import { post, remove } from "./api.js";

/** Wires a list of devices to the server; `onSaved(row)` and `onDeleted(id)` tell the page. */
export function wireOwnDevices(list, { onSaved = () => {}, onDeleted = () => {} } = {}) {
  const attempt = async (change) => {
    try {
      await change();
    } catch (error) {
      list.error = error.message;
    }
  };
  list.node.addEventListener("device-save", ({ detail }) => attempt(async () => {
    const saved = await post(`/api/own-devices/${detail.id}/settings`, detail.values);
    list.rows = list.rows.map((row) => (row.id === saved.id ? saved : row));
    if (list.open) list.ask(null);
    onSaved(saved);
  }));
  list.node.addEventListener("device-delete", ({ detail }) => attempt(async () => {
    await remove(`/api/own-devices/${detail.id}`);
    list.open = null;
    list.devices = list.rows.filter((row) => row.id !== detail.id);
    onDeleted(detail.id);
  }));
}
