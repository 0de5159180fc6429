/** Sending recordings: files and folders that were chosen or dropped, three at a time. */

import { upload } from "../api.js";
import { button, h } from "../dom.js";
import { percent, text } from "../text.js";

const AT_ONCE = 3;
const SHOWN = 6; // uploads that wait or run; those that failed are all shown
// Files of a folder that are no sound. Of files that were chosen themselves, the server decides.
const OTHERS = /(^\.|\.(txt|csv|tsv|json|xml|html?|md|log|py|pyc|onnx|pkl|db|png|jpe?g|gif|tiff?|bmp|webp|heic|pdf|zip|pt|docx?|xlsx?|ini|sqlite(-\w+)?)$)/i;

/**
 * The uploads of the page; they go on while other views are shown.
 *
 * An EventTarget: `change` whenever something to be shown did; `sent` with the row of a recording.
 */
class Uploads extends EventTarget {
  items = []; // {file, state: waiting|running|failed, share, error, stop}
  done = 0;

  /** Send files; `isFolder` leaves out what is no sound. */
  add(files, isFolder) {
    const sounds = isFolder ? files.filter((file) => !OTHERS.test(file.name)) : files;
    if (!this.busy) this.done = 0;
    for (const file of sounds) this.items.push({ file, state: "waiting", share: 0, error: null, stop: new AbortController() });
    this.#work();
    return { sent: sounds.length, left: files.length - sounds.length };
  }

  get busy() {
    return this.items.some((item) => item.state !== "failed");
  }

  /** Stop an upload, or forget one that failed. */
  remove(item) {
    item.stop.abort();
    this.items = this.items.filter((each) => each !== item);
    this.#work();
  }

  /** Stop all, and forget those that failed. */
  clear() {
    for (const item of this.items) item.stop.abort();
    this.items = [];
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  #work() {
    const running = this.items.filter((item) => item.state === "running").length;
    const next = this.items.filter((item) => item.state === "waiting").slice(0, AT_ONCE - running);
    for (const item of next) this.#send(item);
    this.#tell();
  }

  async #send(item) {
    item.state = "running";
    const progress = (share) => {
      item.share = share;
      this.#tell();
    };
    try {
      const path = `recordings?name=${encodeURIComponent(item.file.name)}`;
      const row = await upload(path, item.file, { progress, signal: item.stop.signal });
      this.items = this.items.filter((each) => each !== item);
      this.done += 1;
      this.dispatchEvent(new CustomEvent("sent", { detail: row }));
    } catch (error) {
      if (error.name === "AbortError") return;
      item.state = "failed";
      item.error = error.message;
    }
    this.#work();
  }
}

export const uploads = new Uploads();

/** What is being sent, as a list. */
export function uploadsList() {
  const failed = uploads.items.filter((item) => item.state === "failed");
  const others = uploads.items.filter((item) => item.state !== "failed");
  const more = others.length - SHOWN;
  return [
    others.length > 0 && h("p", { class: "row" },
      h("strong", {}, text("list.sending", { done: uploads.done, all: uploads.done + others.length })), h("span", { class: "gap" }),
      button(text("list.stop_all"), () => uploads.clear(), { class: "plain small" })),
    h("ul", { class: "uploads" }, [...failed, ...others.slice(0, SHOWN)].map(shown)),
    more > 0 && h("p", { class: "quiet small" }, text("list.more_uploads", { count: more })),
  ];
}

function shown(item) {
  const isFailed = item.state === "failed";
  return h("li", { class: item.state },
    h("span", { class: "name" }, item.file.name),
    isFailed ? h("span", { class: "failure", role: "alert" }, item.error)
      : h("progress", { max: "1", value: item.share, "aria-label": text("list.upload_of", { name: item.file.name }) }),
    isFailed ? "" : h("span", { class: "quiet" }, item.state === "running" ? percent(item.share) : text("list.state.waiting")),
    button("✕", () => uploads.remove(item), { class: "plain small",
      "aria-label": text(isFailed ? "list.dismiss" : "list.stop_upload", { name: item.file.name }) }));
}

/** The files of a drop, folders opened. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return { files: [...transfer.files], isFolder: false };
  const files = [];
  for (const entry of entries) if (entry) await walk(entry, files);
  return { files, isFolder: true };
}

async function walk(entry, files) {
  if (entry.isFile) {
    files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, files);
  }
}
