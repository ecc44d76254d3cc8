// The question for a token, where the daemon wants one.

import { html, nothing } from "../vendor/lit-html.js";
import { t } from "../words.js";

/** Ask for a token if `error` says that one is missing. */
export function ask(page, error) {
  if (error.status === 401 || (error.status === 403 && page.stream.client.token)) page.view.token = true;
}

export function tokenDialog(page) {
  const { view, store } = page;
  const refused = store.connection.state === "refused" && [401, 403].includes(store.connection.status);
  if (refused && !view.refusedToken) {
    view.token = view.refusedToken = true;
  }
  if (!refused) view.refusedToken = false;
  if (!view.token) return nothing;
  return html`
    <div class="veil">
      <form class="card token" role="dialog" aria-modal="true" aria-labelledby="token-title" @submit=${(event) => use(page, event)}
        @keydown=${(event) => event.key === "Escape" && close(page)}>
        <h2 id="token-title">${t("token.title")}</h2>
        <p>${refused && page.stream.client.token ? store.connection.error : t("token.text")}</p>
        <label class="field"><span>${t("token.field")}</span>
          <input name="token" type="password" autocomplete="off" autofocus spellcheck="false" .value=${page.stream.client.token} /></label>
        <label class="check"><input name="keep" type="checkbox" /> ${t("token.keep")}</label>
        <div class="actions"><button class="primary">${t("token.use")}</button>
          <button type="button" class="quiet" @click=${() => close(page)}>${t("token.cancel")}</button></div>
      </form>
    </div>
  `;
}

function close(page) {
  page.view.token = false;
  page.draw();
}

function use(page, event) {
  event.preventDefault();
  const { token, keep } = event.target.elements;
  page.view.token = false;
  page.stream.useToken(token.value.trim(), keep.checked);
  page.view.refusedToken = false; // a daemon nearby refuses it before the page is drawn
  page.draw();
}
