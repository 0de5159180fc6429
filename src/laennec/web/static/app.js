/** The page: which view is shown for which address, and what the views share. */

import * as api from "./api.js";
import { toastError } from "./dialogs.js";
import { button, h, replace } from "./dom.js";
import { createShell } from "./shell.js";
import * as words from "./text.js";
import { useText } from "./viewer/keys.js";
import { Life } from "./viewer/life.js";

const { text } = words;
// A view is the class that views/NAME.js exports: `new View(main, params, app, life)`, `await open()`. Whatever it
// begins ends with its life, when another view is shown.
const ROUTES = [
  { view: "list", pattern: /^\/$/, names: [] },
  { view: "recording", pattern: /^\/recording\/([^/]+)$/, names: ["id"] },
  { view: "compare", pattern: /^\/compare\/([^/]+)\/([^/]+)$/, names: ["first", "second"] },
  { view: "patient", pattern: /^\/patient\/([^/]+)$/, names: ["name"] },
  { view: "review", pattern: /^\/review$/, names: [] },
  { view: "learn", pattern: /^\/learn$/, names: [] },
  { view: "live", pattern: /^\/live$/, names: [] },
];
const READER = "laennec.reader";
const NO_LABELS = { events: [], records: [], phases: [], positions: [] };

/**
 * What every view is given.
 *
 * `api`, `text` and `words` (formats of numbers too); `activity`: news of the server; `reader`: the name of
 * who corrects, or null; `labels` as `GET labels` has them; `label(name)`: the one of that name, with
 * `text`, its name in the page's language; `navigate(hash)`; `refresh()`: show the current view anew.
 */
class App {
  api = api;
  text = text;
  words = words;
  activity = new api.Activity();
  labels = NO_LABELS;
  health = {};
  #shown = 0;
  #life = new Life(); // of the view that is shown

  get reader() {
    return words.remembered(READER) || null;
  }

  set reader(name) {
    words.remember(READER, name);
    this.refresh();
  }

  label(name) {
    const known = [...this.labels.events, ...this.labels.records, ...this.labels.phases].find((l) => l.name === name);
    return { name, short: name, colour: "#dddddd", adventitious: null, ...known, text: words.textOr(`label.${words.slug(name)}`, name) };
  }

  navigate(hash) {
    if (location.hash === hash) this.refresh();
    else location.hash = hash;
  }

  async start() {
    this.activity.addEventListener("reload", () => this.load().catch((error) => this.shell && toastError(error)));
    const shared = this.load();
    shared.catch(() => {}); // told below
    await words.useLanguage(words.preferredLanguage());
    useText(text);
    this.shell = createShell(this);
    addEventListener("hashchange", () => this.refresh(true));
    await shared.catch(toastError);
    this.shell.update();
    await this.refresh();
  }

  /** Ask anew for what the views share. */
  load = api.oneAtATime(async () => {
    [this.health, this.labels] = await Promise.all([api.get("health"), api.get("labels")]);
    this.shell?.update();
  });

  /** Show the view of the address, and end the one before. */
  async refresh(moved = false) {
    const number = ++this.#shown;
    const { view, params } = routed(location.hash);
    this.#life.end();
    const main = this.shell.main(view);
    try {
      if (!view) throw new Error(text("app.no_such_page"));
      const { default: View } = await import(`./views/${view}.js`);
      if (number !== this.#shown) return;
      this.#life = new Life();
      await new View(main, params, this, this.#life).open();
    } catch (error) {
      if (number !== this.#shown) return; // another one was asked for meanwhile, and this one is closed
      this.#life.end();
      failed(main, error, this);
      return;
    }
    if (number !== this.#shown) return;
    const heading = main.querySelector("h1");
    document.title = view === "list" || !heading ? "Laennec" : `${heading.textContent} – Laennec`;
    if (moved) {
      main.focus({ preventScroll: true });
      if (view !== "list") scrollTo(0, 0);
    }
  }
}

function routed(hash) {
  const [path, query] = (hash.replace(/^#/, "") || "/").split("?");
  for (const { view, pattern, names } of ROUTES) {
    const match = pattern.exec(path);
    if (!match) continue;
    try {
      const params = Object.fromEntries(names.map((name, k) => [name, decodeURIComponent(match[k + 1])]));
      return { view, params: { ...params, query: new URLSearchParams(query) } };
    } catch {
      break; // no text that was encoded
    }
  }
  return { view: null, params: {} };
}

function failed(main, error, app) {
  if (error.name === "AbortError") return;
  if (!(error instanceof api.ApiError)) console.warn(error);
  replace(main, h("section", { class: "notice error", role: "alert" },
    h("h1", {}, text("app.failed")),
    h("p", {}, error.message),
    h("p", { class: "row" }, button(text("app.again"), () => app.refresh()), h("a", { href: "#/" }, text("app.to_list")))));
}

const app = new App();
app.start();
