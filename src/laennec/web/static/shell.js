/** What surrounds every view: the bar above with folder, reader, model and language, and the messages. */

import { ask, toast, toastError } from "./dialogs.js";
import { button, choice, field, h, replace } from "./dom.js";
import { showKeys } from "./viewer/keys.js";
import { LANGUAGES, chooseLanguage, language, text } from "./text.js";

const PLACES = [
  { hash: "#/", key: "app.recordings", views: ["list", "recording", "compare", "patient"] },
  { hash: "#/review", key: "app.review", views: ["review"] },
  { hash: "#/learn", key: "app.learn", views: ["learn"] },
  { hash: "#/live", key: "app.live", views: ["live"] },
];

/** Build the bar and the places of views and messages; returns {main, update}. */
export function createShell(app) {
  const bar = h("header", { class: "bar" });
  const offline = h("p", { class: "offline", role: "status" });
  const foot = h("footer", { class: "foot" });
  const toasts = h("div", { id: "toasts", "aria-live": "polite" });
  let main = h("main", { id: "main", tabindex: "-1" });
  let shown = "list";
  document.body.append(bar, offline, main, foot, toasts);

  const update = () => {
    replace(bar, barContent(app, shown, () => main.focus(), () => { update(); app.refresh(); }));
    replace(foot, h("span", {}, text("app.disclaimer")), h("span", {}, version(app.health.laennec)));
  };
  app.activity.addEventListener("connection", ({ detail }) => {
    replace(offline, detail.connected ? "" : text("app.offline"));
  });
  update();
  return {
    update,
    main(view) {
      // A new element: whatever an ended view still does, it does to one that nobody sees.
      const fresh = h("main", { id: "main", tabindex: "-1", class: view ?? "" });
      main.replaceWith(fresh);
      main = fresh;
      shown = view;
      update();
      return main;
    },
  };
}

const version = (number) => (number ? `Laennec ${number}` : "");

function barContent(app, view, skip, changed) {
  return [
    button(text("app.skip"), skip, { class: "skip" }),
    h("a", { class: "brand", href: "#/" }, "Laennec"),
    h("span", { class: "folder", title: text("app.folder") }, app.health.folder ?? ""),
    h("nav", { "aria-label": text("app.places") }, PLACES.map(({ hash, key, views }) =>
      h("a", { href: hash, "aria-current": views.includes(view) && (hash === (location.hash || "#/") ? "page" : "true") }, text(key)))),
    h("span", { class: "gap" }),
    app.health.model && button(app.health.model.name, () => chooseModel(app), {
      class: "plain model", "aria-label": `${text("app.model")}: ${app.health.model.name}` }),
    button(app.reader ?? text("app.no_reader"), () => chooseReader(app).catch(toastError), {
      class: `plain reader${app.reader ? "" : " unset"}`,
      "aria-label": `${text("app.reader")}: ${app.reader ?? text("app.no_reader")}` }),
    button("?", () => showKeys(), { class: "plain keys", "aria-label": text("app.keys"), title: text("app.keys") }),
    choice(Object.entries(LANGUAGES), language(), (code) => chooseLanguage(code).then(changed, toastError), {
      class: "language", "aria-label": text("app.language") }),
  ];
}

/** Ask who corrects; resolves with the name, or null where nobody is chosen. */
export async function chooseReader(app) {
  const { readers } = await app.api.get("readers");
  const names = readers.map((reader) => reader.name);
  const typed = h("input", { type: "text", autocomplete: "off", maxlength: "60" });
  const existing = names.map((name) => h("label", { class: "option" },
    h("input", { type: "radio", name: "reader", value: name, checked: name === app.reader }), name));
  const content = [
    h("p", { class: "quiet" }, text("app.reader_help")),
    existing.length > 0 && h("fieldset", {}, h("legend", {}, text("app.reader_known")), existing),
    field(text("app.reader_new"), typed),
  ];
  const read = () => {
    const chosen = typed.value.trim() || content.flat().map((e) => e?.querySelector?.("input:checked")?.value).find(Boolean);
    return chosen ?? undefined;
  };
  const choices = [{ value: null, text: text("app.cancel") }, { read, text: text("app.choose"), kind: "primary" }];
  const name = await ask(text("app.reader"), content, choices);
  if (!name) return null;
  if (!names.includes(name)) await app.api.post("readers", { name });
  app.reader = name;
  app.shell.update();
  return name;
}

async function chooseModel(app) {
  try {
    const { models } = await app.api.get("models");
    const used = models.find((model) => model.in_use)?.sha256;
    const option = (model) => h("label", { class: "option" },
      h("input", { type: "radio", name: "model", value: model.sha256, checked: model.sha256 === used }),
      h("span", {}, h("strong", {}, model.name), " ", h("span", { class: "quiet" }, model.version, " ", text(`app.model_kind.${model.kind}`)), " ",
        h("span", { class: "quiet mono" }, model.sha256.slice(0, 8))));
    const clips = models.filter((model) => model.task === "clips");
    const list = h("div", { role: "radiogroup", "aria-label": text("app.model") },
      models.filter((model) => model.task !== "clips").map(option),
      clips.length > 0 && [h("h3", {}, text("app.clip_models")), h("p", { class: "quiet" }, text("app.clip_models_help")), clips.map(option)]);
    const content = [h("p", { class: "quiet" }, text("app.model_help")), list];
    const read = () => list.querySelector("input:checked")?.value;
    const choices = [{ value: null, text: text("app.cancel") }, { read, text: text("app.choose"), kind: "primary" }];
    const chosen = await ask(text("app.model"), content, choices);
    if (!chosen || chosen === used) return;
    await app.api.post(`models/${chosen}/use`);
    await app.load();
    toast(text("app.model_changed"));
    app.refresh();
  } catch (error) {
    toastError(error);
  }
}
