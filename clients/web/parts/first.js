// What to do where nothing is configured, in three lines.

import { html, nothing } from "../vendor/lit-html.js";
import { t } from "../words.js";

export function firstRun({ store }) {
  if (!store.known) return nothing;
  const bare = !store.sources.size || !store.classifiers.size;
  const deaf = [...store.sources.values()].every(({ state }) => state === "lost");
  if (!bare && !deaf) return nothing;
  const lines = bare ? ["first.source", "first.classifier", "first.listen"] : ["first.devices", "first.config", "first.demo"];
  return html`
    <section class="card first" aria-labelledby="first-title">
      <h2 id="first-title">${t(bare ? "first" : "first.deaf")}</h2>
      <ol>${lines.map((line) => html`<li>${t(line)} <code>${t(`${line}.code`)}</code></li>`)}</ol>
    </section>
  `;
}
