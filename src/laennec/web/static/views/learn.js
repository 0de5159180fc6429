/** Learn: check the device, train on corrections, choose among models. */

import { oneAtATime } from "../api.js";
import { eventCounts, inOrder } from "../answer.js";
import { confirm, toast, toastError } from "../dialogs.js";
import { button, field, h, replace } from "../dom.js";
import { deviceFigures, modelFigures, scored, towards } from "../learn/figures.js";
import { sentence } from "../sentences.js";
import { language, number, percent, text } from "../text.js";

const STYLE = "learn.css";
const CHANGES_MS = 1000; // corrections come in fast

/** Show what can be learnt. */
export default class Learn {
  #app;
  #life;
  #timer = 0;
  #jobs = new Map(); // the latest of each kind
  #opened = new Set(); // models whose details are shown

  constructor(main, params, app, life) {
    this.#app = app;
    this.#life = life;
    this.device = card("device");
    this.train = card("train");
    this.models = card("models");
    this.name = h("input", { type: "text", maxlength: "60", value: app.health.folder ?? "" });
    this.said = h("p", { class: "hidden", role: "status" });
    replace(main, h("link", { rel: "stylesheet", href: STYLE }), h("h1", {}, text("app.learn")),
      h("p", { class: "lead quiet" }, text("learn.lead")), this.said,
      h("div", { class: "cards" }, this.device.element, this.train.element, this.models.element));
    life.on(app.activity, "job", ({ detail }) => this.#job(detail));
    life.on(app.activity, ["edits", "recording", "reload"], () => this.#later());
    life.atEnd(() => clearTimeout(this.#timer));
  }

  open() {
    return this.#load();
  }

  #load = oneAtATime(() => this.#ask());

  async #ask() {
    const { api, reader } = this.#app;
    const { signal } = this.#life;
    const query = `?reader=${encodeURIComponent(reader ?? "")}`;
    const known = reader ? [api.get(`device${query}`, { signal }), api.get(`learn${query}`, { signal })] : [null, null];
    const [{ models }, device, told] = await Promise.all([api.get("models", { signal }), ...known]);
    if (device?.job) this.#jobs.set("device", device.job);
    if (told?.job) this.#jobs.set("learn", told.job);
    this.#showDevice(device);
    this.#showTrain(told);
    this.#showModels(models);
  }

  #later() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#load().catch(toastError);
    }, CHANGES_MS);
  }

  #job(job) {
    const before = this.#jobs.get(job.kind);
    this.#jobs.set(job.kind, { ...before, ...job });
    const place = job.kind === "learn" ? this.train : this.device;
    if (job.state === "running" && before?.state === "running" && place.progress) {
      place.progress.update(job);
      return;
    }
    if (job.state !== "running") this.said.textContent = text(`learn.state.${job.state}`);
    this.#load().catch(toastError);
  }

  async #do(work) {
    try {
      await work();
      await this.#load();
    } catch (error) {
      toastError(error);
    }
  }

  // --- check my device ---

  #showDevice(told) {
    const place = this.device;
    place.progress = null;
    if (!told) {
      replace(place.body, this.#noReader());
      return;
    }
    const job = this.#jobs.get("device");
    const parts = [
      towards(text("learn.device.patients"), told.patients, told.needed.patients),
      towards(text("learn.device.events"), told.events, told.needed.events),
    ];
    if (told.unnamed) parts.push(h("p", { class: "small" }, text("learn.unnamed", { count: told.unnamed })));
    if (told.clip_model) parts.push(h("p", { class: "notice warn" }, text("app.model_for_clips", { name: told.clip_model })));
    if (told.own_model) parts.push(h("p", { class: "notice warn" }, text("learn.device.own_model")));
    if (told.figures) parts.push(found(told.figures));
    if (job?.state === "running") parts.push(this.#progress(place, job));
    else {
      const lacking = told.lacking && h("p", { id: "device-lacking" }, lack(told.lacking, told));
      parts.push(lacking || null, h("p", { class: "row" },
        button(text("learn.device.fit"), () => this.#do(() => this.#app.api.post("device", { reader: this.#app.reader })),
          { class: "primary", disabled: Boolean(told.lacking || told.own_model || told.clip_model), "aria-describedby": lacking && "device-lacking" })));
    }
    if (job?.state === "failed") parts.push(h("p", { class: "notice error" }, sentence(job.message)));
    if (told.calibration) parts.push(this.#calibration(told.calibration));
    replace(place.body, parts);
  }

  #calibration(kept) {
    const use = h("input", { type: "checkbox", checked: kept.in_use,
      onchange: () => this.#do(() => this.#app.api.post("device/calibration", { use: use.checked })) });
    const certain = kept.scores.after.certain?.value;
    return h("section", { class: "made" }, h("h3", {}, text("learn.device.made", { date: day(kept.made), count: kept.data.patients.all })),
      h("p", {}, certain ? text("learn.device.certain", { share: percent(certain) }) : text("learn.device.never")),
      deviceFigures(kept.scores), h("label", { class: "option" }, use, h("span", {}, text("learn.device.use"))),
      h("p", { class: "small quiet" }, text("learn.device.file"), " ", h("code", {}, kept.path)));
  }

  // --- train on my corrections ---

  #showTrain(told) {
    const place = this.train;
    place.progress = null;
    if (!told) {
      replace(place.body, this.#noReader());
      return;
    }
    const job = this.#jobs.get("learn");
    const parts = [towards(text("learn.train.patients"), told.patients, told.needed)];
    if (told.unnamed) parts.push(h("p", { class: "small" }, text("learn.unnamed", { count: told.unnamed })));
    if (told.unknown) parts.push(h("p", { class: "small" }, text("learn.unknown", { count: told.unknown })));
    if (told.events) parts.push(this.#classes(told.classes));
    if (told.clip_model) parts.push(h("p", { class: "notice warn" }, text("app.model_for_clips", { name: told.clip_model })));
    if (job?.state === "running") parts.push(this.#progress(place, job));
    else {
      const lacking = told.lacking && h("p", { id: "train-lacking" }, lack(told.lacking, told));
      parts.push(lacking || null, h("form", { class: "row", onsubmit: (event) => this.#train(event) },
        field(text("learn.train.name"), this.name),
        h("button", { type: "submit", class: "primary", disabled: Boolean(told.lacking || told.clip_model), "aria-describedby": lacking && "train-lacking" }, text("learn.train.start"))));
    }
    if (job?.state === "failed") parts.push(h("p", { class: "notice error" }, sentence(job.message)));
    if (job?.state === "done" && job.result?.content) parts.push(this.#result(job.result));
    replace(place.body, parts);
  }

  #train(event) {
    event.preventDefault();
    this.#do(() => this.#app.api.post("learn", { reader: this.#app.reader, name: this.name.value.trim() || "own" }));
  }

  #classes(classes) {
    return h("ul", { class: "classes", "aria-label": text("learn.train.classes") }, Object.entries(classes).map(([name, own]) => {
      const label = this.#app.label(name);
      return h("li", {}, h("span", { class: "swatch", style: { "--colour": label.colour } }), " ", label.text, " ",
        h("span", { class: "quiet" }, text("learn.train.class", { events: own.events, count: own.patients })));
    }));
  }

  #result({ content, sha256, left_out: left }) {
    return h("section", { class: "made" }, h("h3", {}, text("learn.train.made", { name: content.model.name })),
      verdict(content), left ? h("p", { class: "small" }, text("learn.train.left_out", { count: left })) : null,
      modelFigures(content), h("p", { class: "small quiet" }, text("learn.basis")),
      h("p", { class: "row" }, button(text("learn.models.use"), () => this.#use({ sha256, content, name: content.model.name }), {})));
  }

  // --- models ---

  #showModels(models) {
    replace(this.models.body, h("ul", { class: "model-list" }, models.map((model) => this.#model(model))));
  }

  #model(model) {
    const own = model.kind === "own";
    const details = own && h("details", { open: this.#opened.has(model.sha256), ontoggle: (event) => this.#toggled(event.target, model) },
      h("summary", {}, text("learn.models.details")), h("div", { class: "body" }));
    return h("li", { class: model.in_use ? "used" : null },
      h("div", { class: "row" }, h("strong", {}, model.name), h("span", { class: "quiet" }, text(`app.model_kind.${model.kind}`)),
        model.task === "clips" && h("span", { class: "quiet", title: text("app.clip_models_help") }, text("app.clip_model")),
        own ? verdictFlag(model.content.verdict) : null, h("span", { class: "gap" }),
        model.in_use ? h("span", { class: "flag good" }, text("learn.models.in_use")) :
          button(text("learn.models.use"), () => this.#use(model), { "aria-label": text("learn.models.use_named", { name: model.name }) })),
      h("p", { class: "small quiet" }, own ? text("learn.models.learnt", { date: day(model.made), recordings: model.content.recordings, count: model.content.patients }) : null,
        " ", h("span", { class: "mono" }, model.sha256.slice(0, 12))),
      details);
  }

  async #toggled(details, model) {
    if (details.open) this.#opened.add(model.sha256);
    else this.#opened.delete(model.sha256);
    const body = details.querySelector(".body");
    if (!details.open || body.childElementCount) return;
    try {
      const beside = await this.#app.api.get(`models/compare?sha256=${model.sha256}`, { signal: this.#life.signal });
      replace(body, verdict(model.content), modelFigures(model.content), this.#beside(beside),
        h("p", { class: "small quiet" }, text("learn.basis")), h("p", { class: "small quiet" }, text("learn.not_learnt")));
    } catch (error) {
      toastError(error);
    }
  }

  #beside(beside) {
    const { classes, others } = beside;
    const columns = [["labelled", classes.labelled], ["before", classes.before], ["after", classes.after]];
    if (beside.recordings.some((own) => own.learnt !== "itself")) columns.push(["others_before", others.before], ["others_after", others.after]);
    const labels = inOrder(this.#app, [...new Set(columns.flatMap(([, counts]) => Object.keys(counts)))]);
    const heads = columns.map(([name]) => h("th", { scope: "col", class: "number" }, text(`learn.beside.${name}`)));
    const counts = h("table", {}, h("caption", {}, text("learn.beside.classes")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, text("learn.beside.class")), heads)),
      h("tbody", {}, labels.map((label) => h("tr", {}, h("th", { scope: "row" }, label.text),
        columns.map(([, each]) => h("td", { class: "number" }, number(each[label.name] ?? 0)))))));
    const differs = ({ before, after }) => before.record !== after.record || before.right !== after.right
      || Object.keys({ ...before.events, ...after.events }).some((name) => before.events[name] !== after.events[name]);
    const changed = beside.recordings.filter(differs);
    const answer = (own) => `${own.record ? this.#app.label(own.record).text : text("answer.none_short")}`;
    const rows = changed.map((own) => {
      const all = Object.values(own.labelled).reduce((a, b) => a + b, 0);
      return h("tr", {}, h("th", { scope: "row" }, own.id ? h("a", { href: `#/recording/${own.id}` }, own.name) : own.name),
        h("td", {}, text(`learn.beside.from_${own.learnt ?? "none"}`)),
        ["before", "after"].map((when) => h("td", {}, answer(own[when]), h("br", {}), all > 0
          ? h("span", { class: "quiet small" }, text("learn.of", { have: own[when].right, need: all })) : eventCounts(this.#app, own[when].events))));
    });
    return [
      h("p", {}, text("learn.beside.right", { before: beside.right.before ?? 0, after: beside.right.after ?? 0, events: beside.events })),
      h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": text("learn.beside.classes") }, counts),
      rows.length ? h("details", {}, h("summary", {}, text("learn.beside.changed", { count: rows.length, all: beside.recordings.length })),
        h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": text("learn.beside.recordings") }, h("table", {}, h("caption", {}, text("learn.beside.recordings")),
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, text("list.column.name")), ["from", "before", "after"].map((name) => h("th", { scope: "col" }, text(`learn.beside.${name}`))))),
          h("tbody", {}, rows)))) : null,
    ];
  }

  async #use(model) {
    const doubtful = model.content?.verdict === "no_help";
    const words = [text("learn.models.use_help"), doubtful ? ` ${text("learn.verdict.no_help")}` : ""];
    if (!(await confirm(text("learn.models.use_title", { name: model.name }), h("p", {}, words), text("learn.models.use"), doubtful ? "danger" : "primary"))) return;
    await this.#do(async () => {
      await this.#app.api.post(`models/${model.sha256}/use`);
      await this.#app.load();
      toast(text("app.model_changed"));
    });
  }

  // --- parts ---

  #noReader() {
    return h("p", { class: "notice" }, text("learn.no_reader"));
  }

  #progress(place, job) {
    const bar = h("progress", { max: "1", value: job.progress, "aria-label": text("learn.progress") });
    const words = h("span", {});
    const update = (now) => {
      bar.value = now.progress;
      words.textContent = `${now.message ? text(`learn.doing.${now.message}`) : text("learn.doing.starting")} ${percent(now.progress)}`;
    };
    update(job);
    place.progress = { update };
    return h("p", { class: "row working" }, bar, words, button(text("learn.stop"), () => this.#do(() => this.#app.api.post(`jobs/${job.id}/stop`))));
  }
}

function card(name) {
  const body = h("div", { class: "card-body" });
  const id = `learn-${name}`;
  const element = h("section", { class: `card ${name}`, "aria-labelledby": id },
    h("h2", { id }, text(`learn.${name}.title`)), h("p", { class: "quiet" }, text(`learn.${name}.help`)), body);
  return { element, body, progress: null };
}

function found(figures) {
  const row = (part) => h("tr", {}, h("th", { scope: "row" }, text(`learn.device.${part}`)),
    ["precision", "recall", "class_right"].map((name) => h("td", {}, scored(figures[part][name]))));
  const heads = ["precision", "recall", "class_right"].map((name) => h("th", { scope: "col" }, text(`learn.device.${name}`)));
  return h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": text("learn.device.figures") }, h("table", { class: "figures" }, h("caption", {}, text("learn.device.figures")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, text("learn.device.which")), heads)),
    h("tbody", {}, row("all"), row("adventitious"))));
}

function lack(what, told) {
  return text(`learn.lacking.${what}`, { have: told.patients, need: told.needed.patients ?? told.needed });
}

function verdict(content) {
  const worse = content.worse.map((name) => text(`learn.of_events.${name}`)).join(", ");
  const words = [text(`learn.verdict.${content.verdict}`), content.righter ? null : text("learn.not_righter"), worse ? text("learn.worse", { figures: worse }) : null];
  return h("p", { class: `notice ${content.verdict === "helps" && !worse ? "" : "warn"}` }, words.filter(Boolean).join(" "));
}

function verdictFlag(name) {
  const kind = { helps: "good", unclear: "", no_help: "bad" }[name] ?? "";
  return h("span", { class: `flag ${kind}` }, text(`learn.flag.${name}`));
}

function day(time) {
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium" }).format(new Date(time));
}
