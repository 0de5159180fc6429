/** Label files: written and read in a dialog. */

import { ask, toast } from "../dialogs.js";
import { button, choice, field, h } from "../dom.js";
import { sentence } from "../sentences.js";
import { text } from "../text.js";

const MOST_NOTES = 4;

/** Ask which label file to write or to read; `channels` of the recording, `changed` after one was read. */
export async function labelFiles(app, { recording, reader, name, channels, changed }) {
  const { formats } = await app.api.get("label-formats");
  const form = choice(formats.map((each) => [each.name, each.title]), formats[0].name);
  const channel = choice([["", text("edit.all_channels")], ...Array.from({ length: channels }, (_, k) => [String(k), String(k)])], "");
  const keep = h("input", { type: "checkbox" });
  const sounds = h("input", { type: "checkbox" });
  const file = h("input", { type: "file", accept: ".txt,.csv,.json", "aria-label": text("edit.choose_file") });
  const query = (values) => new URLSearchParams({ reader, ...(channel.value && { channel: channel.value }), ...values });
  const shown = formats.map((each) => each.title).join(", ");
  file.addEventListener("change", () => file.files[0] && read(app, file.files[0], `recordings/${recording}/labels?${
    query({ name: file.files[0].name, replace: String(!keep.checked) })}`, changed).finally(() => { file.value = ""; }));
  const content = [
    h("h3", {}, text("edit.write_file")),
    h("div", { class: "row" }, field(text("edit.format"), form), channels > 1 && field(text("edit.channel"), channel),
      button(text("edit.write"), () => write(app, `recordings/${recording}/labels.${form.value}?${query({})}`,
        `${name.replace(/\.[^.]*$/, "")}${formats.find((each) => each.name === form.value).suffix}`), { class: "primary" })),
    h("h3", {}, text("edit.read_file")),
    h("p", { class: "quiet" }, text("edit.read_help", { formats: shown })),
    h("div", { class: "row" }, file, h("label", { class: "option" }, keep, text("edit.keep_others"))),
    h("h3", {}, text("edit.whole_folder")),
    h("p", { class: "quiet" }, text("edit.folder_help")),
    h("div", { class: "row" }, h("label", { class: "option" }, sounds, text("edit.with_sounds")),
      button(text("edit.export_folder"), () => save(app.api.address(`export.zip?${
        new URLSearchParams({ reader, format: form.value, sounds: String(sounds.checked) })}`), "laennec-labels.zip"))),
  ];
  await ask(text("edit.files"), content, [{ value: null, text: text("app.close") }]);
}

async function write(app, path, name) {
  const response = await fetch(app.api.address(path)).catch(() => null);
  if (!response?.ok) {
    toast(sentence((await response?.json().catch(() => null))?.error) || text("api.unreachable"), "error");
    return;
  }
  const missing = JSON.parse(response.headers.get("Laennec-Not-Held") ?? "[]");
  const url = URL.createObjectURL(await response.blob());
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  if (missing.length > 0) toast(text("edit.not_held", { what: missing.map(sentence).join("; ") }));
}

function save(href, download) {
  const link = h("a", { href, download });
  document.body.append(link);
  link.click();
  link.remove();
}

async function read(app, file, path, changed) {
  try {
    const { imported } = await app.api.upload(path, file);
    const { notes, ...counts } = imported;
    const left = [...notes.slice(0, MOST_NOTES).map(sentence), ...(notes.length > MOST_NOTES ? ["…"] : [])];
    toast([text("edit.imported", counts), ...left].join(" · "));
    changed();
  } catch (error) {
    toast(error.message, "error");
  }
}
