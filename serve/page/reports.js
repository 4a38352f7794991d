// Comparisons: reports that are opened in a tab of their own.

import { byId, el } from "./dom.js";
import { get, part } from "./api.js";

/** Opens the room. */
export async function openReports() {
  const list = byId("reports-list");
  try {
    const { comparisons } = await get("comparisons");
    list.replaceChildren(...comparisons.map((name) => el("li", {},
      el("a", { href: `api/v1/comparisons/${part(name)}`, target: "_blank", rel: "noopener" }, name))));
    if (comparisons.length === 0) {
      list.replaceWith(el("p", { class: "empty" }, "None here. keyhole compare makes one in the folder of --runs."));
    }
  } catch (err) {
    list.replaceWith(el("p", { class: "error" }, err.message));
  }
}
