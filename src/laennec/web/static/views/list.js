/** All recordings of the folder. */

import { h, replace } from "../dom.js";

/** Show the list. */
export default async function list(main, params, app) {
  const { recordings } = await app.api.get("recordings");
  replace(main, h("h1", {}, app.text("app.recordings")), h("ul", {}, recordings.map((row) =>
    h("li", {}, h("a", { href: `#/recording/${encodeURIComponent(row.id)}` }, row.name)))));
  return () => {};
}
