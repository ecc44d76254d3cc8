// A label set typed, where the model takes its labels at run time: the form, Apply, and the lines that keep it.

import { html, nothing } from "../vendor/lit-html.js";
import { listed, refusal, t } from "../words.js";
import { ask } from "./token.js";

/** The button that opens the form; nothing where the model has labels of its own. */
export function labelsButton(page, { key, classifier }) {
  if (!classifier.label_set) return nothing;
  const open = page.view.typing?.key === key;
  return html`
    <button class="quiet small label-set" aria-expanded=${open} ?disabled=${!page.store.status.has(classifier.name)}
      @click=${() => toggle(page, key, classifier)}>${t(open ? "tuner.close" : "labels.open")}</button>
  `;
}

/** The form of the classifier whose button was pressed. */
export function labelsForm(page, { key, classifier }) {
  const { typing } = page.view;
  if (typing?.key !== key || !classifier.label_set) return nothing;
  const { labels, background, template } = typing.before;
  const kept = page.store.status.get(classifier.name);
  return html`
    <form class="tuner typed" aria-label=${t("labels.title", { name: classifier.name })} @submit=${(event) => apply(page, classifier.name, event)}>
      ${area("labels", labels)} ${area("background", background)}
      <label class="field"><span>${t("labels.template")}</span>
        <input name="template" type="text" autocomplete="off" required .value=${template} /></label>
      <div class="actions">
        <button class="primary" ?disabled=${typing.busy || !kept}>${t(typing.busy ? "labels.busy" : "tuner.apply")}</button>
        ${typing.toml ? html`<button type="button" class="quiet" @click=${() => copy(page)}>${t(typing.copied ? "copied" : "tuner.copy")}</button>` : nothing}
      </div>
      ${typing.note ? html`<p class=${typing.failed ? "error" : "done"} role="status">${typing.note}</p>` : nothing}
      ${typing.toml ? html`<pre class="toml" tabindex="0">${typing.toml}</pre>` : nothing}
    </form>
  `;
}

const area = (name, texts) => html`
  <label class="field"><span>${t(`labels.${name}`)}</span>
    <textarea name=${name} rows=${name === "labels" ? 5 : 3} spellcheck="false" .value=${texts.join("\n")}></textarea>
    <small>${t(`labels.${name}.help`)}</small></label>
`;

function toggle(page, key, { label_set: before }) {
  const { view } = page;
  view.tuning = null;
  view.typing = view.typing?.key === key ? null : { key, before, busy: false, note: "", toml: "" };
  page.draw();
}

async function apply(page, name, event) {
  event.preventDefault();
  const { labels, background, template } = event.target.elements;
  const { typing } = page.view;
  Object.assign(typing, { busy: true, note: "", toml: "", copied: false });
  page.draw();
  try {
    const changes = { labels: listed(labels.value), background: listed(background.value), template: template.value.trim() };
    const answer = await page.stream.patch(name, changes);
    Object.assign(typing, { note: t(answer.toml ? "tuner.applied" : "labels.same"), toml: answer.toml ?? "", failed: false });
  } catch (error) {
    Object.assign(typing, { note: refusal(error), failed: true });
    ask(page, error);
  }
  typing.busy = false;
  page.draw();
}

async function copy(page) {
  const { typing } = page.view;
  await navigator.clipboard?.writeText(typing.toml).then(() => (typing.copied = true), () => {});
  page.draw();
}
